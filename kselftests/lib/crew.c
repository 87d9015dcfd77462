// SPDX-License-Identifier: GPL-2.0-only
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <linux/if_ether.h>

#include "bpf.h"
#include "crew.h"
#include "ktap.h"
#include "load.h"
#include "netdev.h"
#include "qdisc.h"
#include "stall.h"

#define VETH_XDP "crew-xdp"
#define VETH_FAR "crew-far"
#define PORT_TO 9
#define SOCKET_BYTES (256 << 20)

#define PKTGEN_PORT 9000
#define PKTGEN_BYTES 60
#define PKTGEN_MAGIC 0xbe9be955U
#define UDP_AT (ETH_HLEN + 20)

const char * const producer_names[] = {
	"packet", "bypass", "udp", "pktgen", "pktgen_queue", "xdp", NULL,
};

/* Timers of each sender that goes past the qdisc. */
#define CREW_JITTER 3

static bool is_pktgen(const struct crew *c)
{
	return c->kind == PRODUCER_PKTGEN || c->kind == PRODUCER_PKTGEN_QUEUE;
}

/* UDP: the stack builds what frame_build() does, to the neighbour that has this. */
static const u8 udp_mac[ETH_ALEN] = { 2, 0, 0, 0, 0, 2 };

static void udp_open(const struct crew *c, struct sender *s)
{
	const int on = 1, bytes = SOCKET_BYTES;
	struct sockaddr_in from = {
		.sin_family = AF_INET,
		.sin_port = htons(s->frame.port),
		.sin_addr.s_addr = htonl(FRAME_SRC4),
	};
	struct sockaddr_in to = {
		.sin_family = AF_INET,
		.sin_port = htons(PORT_TO),
		.sin_addr.s_addr = htonl(FRAME_DST4),
	};

	s->frame.cookie = c->b->cookie;
	s->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	/* Without IP_RECVERR UDP keeps a refusal to itself. */
	if (s->fd < 0 ||
	    setsockopt(s->fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes)) ||
	    setsockopt(s->fd, IPPROTO_IP, IP_RECVERR, &on, sizeof(on)) ||
	    bind(s->fd, (struct sockaddr *)&from, sizeof(from)) ||
	    connect(s->fd, (struct sockaddr *)&to, sizeof(to)))
		ktap_bail("UDP socket: %s", strerror(errno));
}

static void udp_send(struct sender *s)
{
	u32 payload[] = { s->frame.cookie, (u32)(s->frame.seq >> 32),
			  (u32)s->frame.seq };

	if (send(s->fd, payload, sizeof(payload), MSG_DONTWAIT) >= 0) {
		s->frame.seq++;
		s->count[SEND_OK]++;
		return;
	}
	s->error = errno;
	s->count[errno == ENOBUFS ? SEND_NOBUFS : SEND_OTHER]++;
}

/* XDP: what is sent from one end of a veth is redirected at the other one. */

static void xdp_open(const struct crew *c)
{
	int prog;

	if (c->sc->dev != DEV_TAP)
		ktap_bail("only tap takes XDP frames");
	netdev_veth(VETH_XDP, VETH_FAR);
	qdisc_replace(VETH_FAR, "noqueue");
	prog = bpf_redirect_to(c->b->dev);
	bpf_xdp_attach(VETH_XDP, prog);
	close(prog);
	netdev_up(VETH_XDP, true);
	netdev_up(VETH_FAR, true);
}

/*
 * The driver counts one drop for all the frames of one call, so that each has
 * to be gone before the next one comes.
 */
static void xdp_send(struct crew *c, struct sender *s)
{
	struct netdev_stats st;
	struct stall wait;
	u64 sent;

	/* Counted first: the other CPU may be quick. */
	sent = shared_add(c->handed_over, 1);
	if (sender_send(s) != SEND_OK)
		ktap_bail("veth: %s", strerror(s->error));
	stall_start(&wait, c->sc->stall_ms);
	do {
		netdev_stats(VETH_XDP, &st);
		if (st.rx_packets >= sent)
			return;
		stall_breathe();
	} while (!stall_over(&wait));
	ktap_bail("%llu frames sent to the XDP program, %llu arrived", sent,
		  st.rx_packets);
}

/* A softirq is never half done on the CPU that one runs on. */
static void xdp_settle(void)
{
	int cpu[CPU_SETSIZE];
	unsigned int i, n = cpus_allowed(cpu, CPU_SETSIZE);

	for (i = 0; i < n; i++)
		cpu_pin(cpu[i]);
	cpus_allow(cpu, n);
}

/* pktgen wants an Ethernet device, and does not mind that tun is none. */

static void pktgen_open(struct crew *c)
{
	int err;

	if (c->sc->dev == DEV_TUN)
		tuntap_ether(c->b->fd[0], c->b->dev);
	c->pktgen = (struct pktgen_conf) {
		.ifname = c->b->dev,
		.threads = c->n,
		.size = PKTGEN_BYTES,
		.count = 1,
		.queue_xmit = c->kind == PRODUCER_PKTGEN_QUEUE,
		.unshared = true,
	};
	err = pktgen_setup(&c->pktgen);
	if (err)
		ktap_bail("pktgen: %s", strerror(-err));
}

static void *generate(void *arg)
{
	struct crew *c = arg;

	c->error = pktgen_start(&c->pktgen);
	shared_set(c->working, 0);
	return NULL;
}

static void pktgen_result(const struct crew *c, struct pktgen_result *res)
{
	int err = pktgen_read(&c->pktgen, res);

	if (err)
		ktap_bail("pktgen: %s", strerror(-err));
}

static void member_open(struct crew *c, unsigned int nr)
{
	struct crew_member *m = &c->member[nr];
	struct sender *s = &m->sender;

	m->crew = c;
	m->nr = nr;
	switch (c->kind) {
	case PRODUCER_PACKET:
	case PRODUCER_BYPASS:
		bench_sender(c->b, c->sc, s, c->kind == PRODUCER_BYPASS);
		break;
	case PRODUCER_XDP:
		sender_open(s, VETH_FAR, true, false, c->b->cookie);
		break;
	default:
		break;
	}
	s->frame.port = (u16)(FLOWS_PORT + nr);
	if (c->kind == PRODUCER_UDP)
		udp_open(c, s);
}

void crew_open(struct crew *c, enum producer kind, unsigned int n,
	       const struct scenario *sc, const struct bench *b)
{
	unsigned int i;

	*c = (struct crew) { .kind = kind, .n = n, .sc = sc, .b = b };
	if (!n || n > FLOWS_MAX)
		ktap_bail("1 to %d senders", FLOWS_MAX);
	if (kind == PRODUCER_UDP) {
		netdev_addr4(b->dev, htonl(FRAME_SRC4), 15);
		if (scenario_ether(sc))
			netdev_neigh4(b->dev, htonl(FRAME_DST4), udp_mac);
	} else if (kind == PRODUCER_XDP) {
		xdp_open(c);
	} else if (is_pktgen(c)) {
		pktgen_open(c);
		return;
	}
	for (i = 0; i < n; i++)
		member_open(c, i);
}

static void *work(void *arg)
{
	struct crew_member *m = arg;
	struct crew *c = m->crew;
	int cpu[CPU_SETSIZE];
	unsigned int i, n = cpus_allowed(cpu, CPU_SETSIZE);
	u32 rnd = rnd_start(c->sc->seed, m->nr);
	struct jitter jt;

	cpu_pin(cpu[m->nr % n]);
	/* Nobody but the driver keeps these from each other. */
	if (c->kind == PRODUCER_BYPASS)
		jitter_start(&jt, &rnd, CREW_JITTER);
	pthread_barrier_wait(&c->start);
	for (i = 0; i < c->each; i++) {
		if (c->kind == PRODUCER_UDP)
			udp_send(&m->sender);
		else if (c->kind == PRODUCER_XDP)
			xdp_send(c, &m->sender);
		else if (sender_send(&m->sender) != SEND_OK)
			stall_breathe();	/* for a reader on this CPU */
	}
	if (c->kind == PRODUCER_BYPASS)
		jitter_end(&jt);
	shared_add(c->working, -1);
	return NULL;
}

void crew_start(struct crew *c, unsigned int each)
{
	unsigned int i;
	int err;

	c->each = each;
	if (is_pktgen(c)) {
		c->working = 1;
		err = pktgen_set_count(&c->pktgen, each);
		if (err || pthread_create(&c->generator, NULL, generate, c))
			ktap_bail("pktgen: %s", strerror(-err));
		return;
	}
	c->working = c->n;
	pthread_barrier_init(&c->start, NULL, c->n);
	for (i = 0; i < c->n; i++)
		if (pthread_create(&c->member[i].thread, NULL, work,
				   &c->member[i]))
			ktap_bail("no thread");
}

u64 crew_sent(const struct crew *c)
{
	struct pktgen_result res;
	u64 sum = 0;
	unsigned int i;

	if (is_pktgen(c)) {
		pktgen_result(c, &res);
		return res.sent;
	}
	for (i = 0; i < c->n; i++)
		sum += shared_get(c->member[i].sender.count[SEND_OK]);
	return sum;
}

bool crew_working(const struct crew *c)
{
	return shared_get(c->working);
}

/* It ends by itself: it is stopped only if it gets nowhere. */
static void generator_end(struct crew *c)
{
	struct stall st;

	stall_start(&st, c->sc->stall_ms);
	while (crew_working(c) && !stall_over(&st)) {
		stall_note(&st, crew_sent(c));
		usleep(1000);
	}
	if (crew_working(c))
		pktgen_stop();
}

void crew_end(struct crew *c)
{
	unsigned int i;

	if (is_pktgen(c)) {
		generator_end(c);
		pthread_join(c->generator, NULL);
		if (c->error)
			ktap_bail("pktgen: %s", strerror(-c->error));
		return;
	}
	for (i = 0; i < c->n; i++)
		pthread_join(c->member[i].thread, NULL);
	pthread_barrier_destroy(&c->start);
	if (c->kind == PRODUCER_XDP)
		xdp_settle();
}

void crew_count(const struct crew *c, struct sender *sum)
{
	struct pktgen_result res;
	unsigned int i;

	memset(sum, 0, sizeof(*sum));
	if (is_pktgen(c)) {
		pktgen_result(c, &res);
		sum->count[SEND_OK] = res.sent;
		sum->count[SEND_NOBUFS] = res.errors;
		return;
	}
	for (i = 0; i < c->n; i++)
		sender_add(sum, &c->member[i].sender);
}

void crew_close(struct crew *c)
{
	unsigned int i;

	if (is_pktgen(c)) {
		pktgen_cleanup();
		return;
	}
	for (i = 0; i < c->n; i++)
		sender_close(&c->member[i].sender);
	if (c->kind == PRODUCER_XDP)
		netdev_delete(VETH_FAR);
}

/* A header of pktgen's own stands where ours would; it counts from 1. */
static bool pktgen_parse(const u8 *buf, size_t len, unsigned int *nr, u64 *seq)
{
	u16 from;
	u32 word[2];

	if (len < UDP_AT + 8 + sizeof(word))
		return false;
	memcpy(&from, buf + UDP_AT, sizeof(from));
	memcpy(word, buf + UDP_AT + 8, sizeof(word));
	if (ntohl(word[0]) != PKTGEN_MAGIC || !word[1])
		return false;
	*nr = (unsigned int)ntohs(from) - PKTGEN_PORT;
	*seq = ntohl(word[1]) - 1;
	return true;
}

void crew_frame(const struct crew *c, struct flows *fl, const void *buf,
		size_t len)
{
	struct frame f = { .ether = fl->ether, .cookie = fl->cookie };
	char ours[FRAME_MAX];
	unsigned int nr;

	if (is_pktgen(c) && pktgen_parse(buf, len, &nr, &f.seq) && nr < c->n) {
		/* As if it had been sent by AF_PACKET. */
		f.port = (u16)(FLOWS_PORT + nr);
		len = frame_build(ours, &f);
		buf = ours;
	}
	flows_frame(fl, buf, len);
}
