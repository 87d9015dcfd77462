// SPDX-License-Identifier: GPL-2.0-only
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/udp.h>

#include "frame.h"
#include "ktap.h"
#include "netdev.h"

#define PORT_TO 9	/* discard */
#define VLAN_BYTES 4
#define SOCKET_BYTES (256 << 20)

struct packet {
	struct iphdr ip;
	struct udphdr udp;
	u32 cookie;
	u32 seq_high;	/* in halves, so that nothing needs padding */
	u32 seq_low;
};

static u16 ip_sum(const void *head)
{
	const u8 *at = head;
	u32 sum = 0;
	int i;

	for (i = 0; i < (int)sizeof(struct iphdr); i += 2)
		sum += (u32)at[i] << 8 | at[i + 1];
	sum = (sum & 0xffff) + (sum >> 16);
	sum += sum >> 16;
	return htons((u16)~sum);
}

static size_t ether_size(const struct frame *f)
{
	if (!f->ether)
		return 0;
	return sizeof(struct ethhdr) + (f->vlan ? VLAN_BYTES : 0);
}

static void ether_build(void *buf, const struct frame *f)
{
	static const u8 src[ETH_ALEN] = { 2, 0, 0, 0, 0, 1 };
	struct ethhdr *eth = buf;
	u16 tag[2] = { htons(f->vlan), htons(ETH_P_IP) };

	memcpy(eth->h_dest, f->dst_mac, ETH_ALEN);
	memcpy(eth->h_source, src, ETH_ALEN);
	eth->h_proto = htons(f->vlan ? ETH_P_8021Q : ETH_P_IP);
	if (f->vlan)
		memcpy(eth + 1, tag, sizeof(tag));
}

size_t frame_build(void *buf, const struct frame *f)
{
	size_t head = ether_size(f);
	struct packet p = {
		.ip = {
			.version = 4,
			.ihl = 5,
			.tos = f->tos,
			.tot_len = htons(sizeof(p)),
			.frag_off = htons(0x4000),
			.ttl = 64,
			.protocol = IPPROTO_UDP,
			.saddr = htonl(FRAME_SRC4),
			.daddr = htonl(FRAME_DST4),
		},
		.udp = {
			.source = htons(f->port),
			.dest = htons(PORT_TO),
			.len = htons(sizeof(p) - sizeof(p.ip)),
		},
		.cookie = f->cookie,
		.seq_high = (u32)(f->seq >> 32),
		.seq_low = (u32)f->seq,
	};

	if (f->ether)
		ether_build(buf, f);
	p.ip.check = ip_sum(&p.ip);
	memcpy((char *)buf + head, &p, sizeof(p));
	memset((char *)buf + head + sizeof(p), 0xa5, f->tail);
	return head + sizeof(p) + f->tail;
}

bool frame_parse(const void *buf, size_t len, struct frame *f)
{
	size_t head = ether_size(f);
	struct packet p;
	u16 tag;

	if (len != head + sizeof(p) + f->tail)
		return false;
	if (f->ether && f->vlan) {
		memcpy(&tag, (const char *)buf + sizeof(struct ethhdr), sizeof(tag));
		if (tag != htons(f->vlan))
			return false;
	}
	memcpy(&p, (const char *)buf + head, sizeof(p));
	if (p.ip.version != 4 || p.udp.dest != htons(PORT_TO) ||
	    p.cookie != f->cookie)
		return false;
	f->port = ntohs(p.udp.source);
	f->tos = p.ip.tos;
	f->seq = (u64)p.seq_high << 32 | p.seq_low;
	return true;
}

static int packet_socket(int protocol)
{
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, protocol);

	if (fd < 0)
		ktap_bail("packet socket: %s", strerror(errno));
	return fd;
}

static void set_int(int fd, int level, int name, int value, const char *what)
{
	if (setsockopt(fd, level, name, &value, sizeof(value)))
		ktap_bail("%s: %s", what, strerror(errno));
}

void sender_open(struct sender *s, const char *dev, bool ether, bool bypass,
		 u32 cookie)
{
	memset(s, 0, sizeof(*s));
	/* Protocol 0: a socket that only sends. */
	s->fd = packet_socket(0);
	s->to.sll_family = AF_PACKET;
	s->to.sll_protocol = htons(ETH_P_IP);
	s->to.sll_ifindex = netdev_index(dev);
	s->frame.ether = ether;
	s->frame.port = 40000;
	s->frame.cookie = cookie;
	memcpy(s->frame.dst_mac, "\x02\0\0\0\0\x02", ETH_ALEN);
	/* The sender must never be what runs out of room. */
	set_int(s->fd, SOL_SOCKET, SO_SNDBUFFORCE, SOCKET_BYTES,
		"SO_SNDBUFFORCE");
	if (bypass)
		set_int(s->fd, SOL_PACKET, PACKET_QDISC_BYPASS, 1,
			"PACKET_QDISC_BYPASS");
}

void sender_priority(struct sender *s, int priority)
{
	set_int(s->fd, SOL_SOCKET, SO_PRIORITY, priority, "SO_PRIORITY");
}

static enum send_result send_class(int error)
{
	switch (error) {
	case ENOBUFS:
		return SEND_NOBUFS;
	case ENETDOWN:
		return SEND_NETDOWN;
	case EAGAIN:
		return SEND_BLOCKED;
	default:
		return SEND_OTHER;
	}
}

enum send_result sender_send(struct sender *s)
{
	enum send_result result = SEND_OK;
	char buf[FRAME_MAX];
	size_t len = frame_build(buf, &s->frame);
	ssize_t ret;

	do {
		ret = sendto(s->fd, buf, len, MSG_DONTWAIT,
			     (struct sockaddr *)&s->to, sizeof(s->to));
	} while (ret < 0 && errno == EINTR);
	if (ret < 0) {
		s->error = errno;
		result = send_class(errno);
	} else {
		s->frame.seq++;
	}
	s->count[result]++;
	return result;
}

unsigned int sender_send_many(struct sender *s, unsigned int n)
{
	unsigned int accepted = 0;

	while (n--)
		accepted += sender_send(s) == SEND_OK;
	return accepted;
}

u64 sender_tried(const struct sender *s)
{
	return s->count[SEND_OK] + s->count[SEND_NOBUFS] + s->count[SEND_NETDOWN] +
	       s->count[SEND_OTHER];
}

void sender_add(struct sender *sum, const struct sender *s)
{
	unsigned int k;

	for (k = 0; k < SEND_RESULTS; k++)
		sum->count[k] += s->count[k];
}

void sender_close(struct sender *s)
{
	close(s->fd);
}

void tally_start(struct tally *t, bool ether, u32 cookie)
{
	memset(t, 0, sizeof(*t));
	t->ether = ether;
	t->cookie = cookie;
}

void tally_frame(struct tally *t, const void *buf, size_t len)
{
	struct frame f = {
		.ether = t->ether,
		.cookie = t->cookie,
		.tail = t->tail,
		.vlan = t->vlan,
	};

	if (!frame_parse(buf, len, &f)) {
		t->foreign++;
		return;
	}
	t->frames++;
	t->marked += (f.tos & 3) == 3;
	if (f.seq < t->next) {
		t->repeated++;
		return;
	}
	t->missing += f.seq - t->next;
	t->next = f.seq + 1;
}

void tally_take(void *tally, const void *buf, size_t len)
{
	tally_frame(tally, buf, len);
}

bool tally_exact(const struct tally *t, u64 n)
{
	return t->frames == n && t->next == n && !t->missing &&
	       !t->repeated && !t->foreign;
}

void listener_open(struct listener *l, const char *dev, bool ether)
{
	struct sockaddr_ll on = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ALL),
		.sll_ifindex = netdev_index(dev),
	};

	l->ether = ether;
	/* Listen to nothing before it is bound to the one device. */
	l->fd = packet_socket(0);
	set_int(l->fd, SOL_SOCKET, SO_RCVBUFFORCE, SOCKET_BYTES,
		"SO_RCVBUFFORCE");
	if (bind(l->fd, (struct sockaddr *)&on, sizeof(on)))
		ktap_bail("bind to %s: %s", dev, strerror(errno));
}

ssize_t listener_next(struct listener *l, void *buf, size_t size)
{
	struct sockaddr_ll from;
	socklen_t from_size;
	ssize_t len;

	do {
		from_size = sizeof(from);
		len = recvfrom(l->fd, buf, size, MSG_DONTWAIT,
			       (struct sockaddr *)&from, &from_size);
	} while (len >= 0 && from.sll_pkttype != PACKET_OUTGOING);
	return len;
}

void listener_collect(struct listener *l, struct tally *t)
{
	char buf[FRAME_MAX];
	ssize_t len;

	while ((len = listener_next(l, buf, sizeof(buf))) >= 0)
		tally_frame(t, buf, (size_t)len);
}

void listener_close(struct listener *l)
{
	close(l->fd);
}
