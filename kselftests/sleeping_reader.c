// SPDX-License-Identifier: GPL-2.0-only
/*
 * A reader that sleeps on an empty ring is told of the next frame, in whatever
 * way it waits. The other programs' readers look again after a while; this one
 * does not. And of one that comes just as it goes to sleep, --rounds times: a
 * trap makes the time longer between its look at the ring and what follows. And,
 * with --xdp 1, of bulks of XDP frames, the ends of which the ring has no room for.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bpf.h"
#include "choice.h"
#include "ktap.h"
#include "load.h"
#include "netdev.h"
#include "scenario.h"
#include "stall.h"
#include "task.h"
#include "trap.h"
#include "uring.h"

#define ROUNDS 16
/* The reader's longest pause after a frame, in turns of rnd_pause(). */
#define PAUSE 20000
#define NEVER_MS 3600000
#define BULKS 2U
/* vhost is not given more buffers in the middle. */
#define LONGEST (VHOST_BUFFERS - ROUNDS - BULKS * BPF_BULK)

enum wait {
	WAIT_READ, WAIT_READV, WAIT_POLL, WAIT_SELECT, WAIT_EPOLL, WAIT_URING,
	WAIT_SIGIO, WAIT_VHOST,
};

static const char * const waits[] = {
	"read", "readv", "poll", "select", "epoll", "iouring", "sigio", "vhost",
	NULL
};

struct sleeper {
	enum wait wait;
	int fd;
	int epoll;
	struct uring *uring;
	struct vhost *vhost;
	struct tally *out;
	int cpu;
	u32 rnd;
	unsigned int pause;
	u64 slots;		/* of the ring, for the trap; 0: none */
	unsigned int n_slots;
	/* The thread's own, but for the looks of the other. */
	u64 got;
	int tid;
	int error;
	bool stop;
	pthread_t thread;
};

/* The descriptor itself waits in these; in the others something else does. */
static bool blocks(enum wait wait)
{
	return wait == WAIT_READ || wait == WAIT_READV || wait == WAIT_URING ||
	       wait == WAIT_VHOST;
}

static void wait_for_frame(const struct sleeper *sl)
{
	struct pollfd pfd = { .fd = sl->fd, .events = POLLIN };
	sigset_t io;
	fd_set set;

	switch (sl->wait) {
	case WAIT_POLL:
		poll(&pfd, 1, -1);
		break;
	case WAIT_SELECT:
		FD_ZERO(&set);
		FD_SET(sl->fd, &set);
		select(sl->fd + 1, &set, NULL, NULL, NULL);
		break;
	case WAIT_EPOLL:
		reader_epoll_wait(sl->epoll, -1);
		break;
	case WAIT_SIGIO:
		sigemptyset(&io);
		sigaddset(&io, SIGIO);
		sigwaitinfo(&io, NULL);
		break;
	default:
		break;
	}
}

static ssize_t read_frame(struct sleeper *sl, char *buf)
{
	if (sl->wait == WAIT_READV)
		return reader_readv(sl->fd, buf, FRAME_MAX);
	if (sl->wait == WAIT_URING)
		return uring_read(sl->uring, buf, FRAME_MAX, NEVER_MS);
	return read(sl->fd, buf, FRAME_MAX);
}

static void take_frame(void *arg, const void *buf, size_t len)
{
	struct sleeper *sl = arg;

	tally_frame(sl->out, buf, len);
	shared_add(sl->got, 1);
}

/* vhost has buffers for all there will be: it is its worker that sleeps. */
static void *vhost_thread(void *arg)
{
	struct sleeper *sl = arg;
	int tid;

	vhost_attach(sl->vhost, sl->fd);
	vhost_offer(sl->vhost, VHOST_BUFFERS);
	vhost_workers(&tid, 1);
	shared_set(sl->tid, tid);
	while (!shared_get(sl->stop))
		if (!vhost_collect(sl->vhost, take_frame, sl))
			vhost_wait(sl->vhost, -1);
	return NULL;
}

static void *sleeper_thread(void *arg)
{
	struct sleeper *sl = arg;
	char buf[FRAME_MAX];
	struct trap tr = {};
	ssize_t len;

	cpu_pin(sl->cpu);
	if (sl->slots) {
		trap_open(&tr, sl->slots, sl->n_slots);
		trap_set(&tr, true);
	}
	shared_set(sl->tid, (int)syscall(SYS_gettid));
	while (!shared_get(sl->stop)) {
		len = read_frame(sl, buf);
		if (len >= 0) {
			take_frame(sl, buf, (size_t)len);
			/* The next one is on its way, which takes longer. */
			rnd_pause(&sl->rnd, sl->pause);
		} else if (errno == EAGAIN) {
			wait_for_frame(sl);
		} else if (errno != EINTR) {
			shared_set(sl->error, errno);
			break;
		}
	}
	if (sl->uring)
		uring_close(sl->uring);
	trap_close(&tr);
	return NULL;
}

static void sleeper_start(struct sleeper *sl)
{
	int flags = blocks(sl->wait) ? 0 : O_NONBLOCK;
	sigset_t io;

	/* Before there is a thread that a SIGIO could end. */
	sigemptyset(&io);
	sigaddset(&io, SIGIO);
	task_interrupt_by(SIGUSR1);
	if (pthread_sigmask(SIG_BLOCK, &io, NULL))
		ktap_bail("signals: %s", strerror(errno));
	if (sl->wait == WAIT_SIGIO)
		flags |= O_ASYNC;
	if (fcntl(sl->fd, F_SETFL, flags) || fcntl(sl->fd, F_SETOWN, getpid()))
		ktap_bail("fcntl: %s", strerror(errno));
	sl->epoll = sl->wait == WAIT_EPOLL ? reader_epoll(sl->fd) : -1;
	sl->uring = sl->wait == WAIT_URING ? uring_open(sl->fd) : NULL;
	sl->vhost = sl->wait == WAIT_VHOST ? vhost_open() : NULL;
	if (pthread_create(&sl->thread, NULL,
			   sl->vhost ? vhost_thread : sleeper_thread, sl))
		ktap_bail("no thread");
}

static void sleeper_end(struct sleeper *sl)
{
	shared_set(sl->stop, true);
	/* It may be about to wait, having looked before: once is not enough. */
	while (pthread_tryjoin_np(sl->thread, NULL)) {
		pthread_kill(sl->thread, SIGUSR1);
		stall_breathe();
	}
	if (sl->epoll >= 0)
		close(sl->epoll);
	if (sl->vhost)
		vhost_close(sl->vhost);
}

/* It has taken all of @n, and sleeps. */
static bool sleeps(const struct sleeper *sl, const struct scenario *sc, u64 n)
{
	struct stall st;

	stall_start(&st, sc->stall_ms);
	while (!shared_get(sl->error) && !stall_over(&st)) {
		if (shared_get(sl->got) == n && task_sleeps(&sl->tid))
			return true;
		stall_note(&st, shared_get(sl->got));
		stall_breathe();
	}
	return false;
}

/* One frame each time that the last one has been taken: how many were. */
static unsigned int race(struct sleeper *sl, const struct scenario *sc,
			 struct sender *s, unsigned int rounds)
{
	u64 n = shared_get(sl->got);
	unsigned int i;

	for (i = 0; i < rounds; i++) {
		if (sender_send(s) != SEND_OK ||
		    !load_wait_for(&sl->got, ++n, sc->stall_ms))
			break;
	}
	return i;
}

/* All of a bulk are the same frame: they do not go into the tally of the others. */
static bool told_of_bulks(struct sleeper *sl, const struct scenario *sc,
			  const struct bench *b, const struct frame *frame)
{
	unsigned int i, fit = min(sc->len, BPF_BULK);
	u64 n = shared_get(sl->got);
	struct tally *own = sl->out, bulk;
	int prog = bpf_redirect_to(b->dev);
	char buf[FRAME_MAX];
	bool told = true;
	size_t len;

	tally_start(&bulk, true, b->cookie);
	sl->out = &bulk;
	len = frame_build(buf, frame);
	for (i = 0; told && i < BULKS; i++) {
		bpf_xdp_run(prog, buf, len, BPF_BULK);
		n += fit;
		told = sleeps(sl, sc, n);
	}
	sl->out = own;
	close(prog);
	return told;
}

int main(int argc, char **argv)
{
	struct sleeper sl = {
		.wait = (enum wait)choice_take(&argc, argv, "wait", waits,
					       WAIT_READ),
	};
	unsigned int i, burst, rounds = 0, xdp = 0;
	const struct scenario_option options[] = {
		{ "xdp", &xdp, "1: bulks of XDP frames, too (0; a tap)" },
		{ "rounds", &rounds, "of a frame as the reader goes to sleep (0)" },
	};
	int cpu[CPU_SETSIZE];
	struct scenario sc;
	struct sender s;
	struct tally t;
	struct bench b;
	bool told;

	scenario_parse(&sc, argc, argv, options, ARRAY_SIZE(options));
	if (!sc.len || (rounds && sc.len > TRAP_SLOTS))
		ktap_bail("a ring that holds frames, with rounds at most %d",
			  TRAP_SLOTS);
	if (sc.dev == DEV_IPVTAP && sl.wait != WAIT_VHOST)
		ktap_bail("ipvtap: only vhost");
	if (sl.wait == WAIT_SIGIO && !scenario_owns_queue(&sc))
		ktap_bail("macvtap sends no SIGIO");
	if (sl.wait == WAIT_VHOST && (rounds || sc.len > LONGEST))
		ktap_bail("vhost has buffers for %u frames, and no rounds", LONGEST);
	if (xdp && sc.dev != DEV_TAP)
		ktap_bail("XDP frames go to a tap");
	ktap_plan(3 + !!rounds + !!xdp);
	netns_enter();
	bench_open(&b, &sc, "sleep0");
	bench_sender(&b, &sc, &s, false);
	tally_start(&t, scenario_ether(&sc), b.cookie);
	sl.fd = b.fd[0];
	sl.out = &t;
	sl.cpu = cpu[cpus_allowed(cpu, CPU_SETSIZE) - 1];
	/* The reader and the sender each have a CPU, if there are two. */
	cpu_pin(cpu[0]);
	if (rounds) {
		sl.slots = trap_find(b.dev, sc.len, 0);
		sl.n_slots = sc.len;
		sl.rnd = rnd_start(sc.seed, 0);
		sl.pause = PAUSE;
	}
	sleeper_start(&sl);

	told = sleeps(&sl, &sc, 0);
	for (i = 0; told && i < ROUNDS; i++) {
		sender_send_many(&s, 1);
		told = sleeps(&sl, &sc, i + 1);
	}
	if (!ktap_ok(told, "a reader that sleeps is told of a frame"))
		ktap_diag("stalled: %llu of %u taken", shared_get(sl.got), i);

	burst = sender_send_many(&s, sc.len);
	if (!ktap_ok(burst == sc.len && sleeps(&sl, &sc, ROUNDS + burst),
		     "and of as many as the ring holds"))
		ktap_diag("stalled: %u of %u sent, %llu taken in all", burst,
			  sc.len, shared_get(sl.got));

	if (rounds) {
		i = race(&sl, &sc, &s, rounds);
		ktap_ok(i == rounds, "and of one that comes as it goes to sleep: %u of %u",
			i, rounds);
	}
	if (xdp) {
		told = told_of_bulks(&sl, &sc, &b, &s.frame);
		ktap_ok(told, "and of the XDP frames that fit: %llu taken in all",
			shared_get(sl.got));
	}
	sleeper_end(&sl);
	if (!ktap_ok(tally_exact(&t, s.frame.seq) && !sl.error,
		     "each of them comes out once, in order"))
		ktap_diag("%llu of %llu frames, %llu missing, %llu repeated, error %d",
			  t.frames, s.frame.seq, t.missing, t.repeated, sl.error);
	sender_close(&s);
	bench_close(&b);
	return ktap_status();
}
