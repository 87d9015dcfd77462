// SPDX-License-Identifier: GPL-2.0-only
/*
 * A sender past the qdisc fills the ring and stops the queue. By then the frame
 * has been read, and its second look finds room. One that comes through the
 * qdisc meanwhile sees a stopped queue and leaves its frame there: it must not
 * stay, since nobody comes after it. A trap makes the time longer between the
 * looks of the first one and what follows from them.
 *
 * With --fill xdp it is an XDP frame that fills the ring, which stops nothing,
 * and the only sender comes through the qdisc: it finds the ring full, and by
 * the time that it has stopped the queue the frame has been read.
 */
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "bpf.h"
#include "choice.h"
#include "ktap.h"
#include "load.h"
#include "netdev.h"
#include "qdisc.h"
#include "scenario.h"
#include "stall.h"
#include "trap.h"

/* To send one takes less, unless its CPU has other things to do. */
#define TOOK_MOST_NS 1000000U
/* Timer interrupts to a millisecond, which hold up the first one as well. */
#define JITTER 8

static const char * const fills[] = { "packet", "xdp", NULL };

struct look {
	struct scenario sc;
	struct bench bench;
	/* The one that stops the queue: past the qdisc, or with XDP through it. */
	struct sender first;
	struct sender second;
	int xdp;		/* a program that redirects to the device, or -1 */
	unsigned int rounds;
	u64 took_ns;		/* to send the first one, the last time */
	u64 begun;
	u64 done;
	u64 got;
	bool stuck;
	bool stop;
	int cpu;
};

/* The driver dropped the only sender's frame: no need to wait for it. */
static bool lost(const struct look *lk)
{
	struct netdev_stats st;

	if (lk->xdp < 0)
		return false;
	netdev_stats(lk->bench.dev, &st);
	return st.tx_dropped;
}

/* Reads until @n frames have come in all; false: stalled, or it cannot come. */
static bool read_until(struct look *lk, u64 n)
{
	char buf[FRAME_MAX];
	struct stall st;

	stall_start(&st, lk->sc.stall_ms);
	while (lk->got < n) {
		if (read(lk->bench.fd[0], buf, sizeof(buf)) < 0) {
			if (stall_over(&st) || lost(lk))
				return false;
			continue;
		}
		lk->got++;
		stall_note(&st, lk->got);
	}
	return true;
}

/* The frame is read at any time of its sending, and at once there is another. */
static void *other(void *arg)
{
	struct look *lk = arg;
	u32 rnd = rnd_start(lk->sc.seed, 1);
	bool good;

	cpu_pin(lk->cpu);
	while (!shared_get(lk->stop)) {
		if (shared_get(lk->begun) == lk->done)
			continue;
		rnd_spin(&rnd, shared_get(lk->took_ns));
		good = read_until(lk, lk->got + 1) &&
		       (lk->xdp >= 0 || sender_send(&lk->second) == SEND_OK) &&
		       read_until(lk, lk->got + 1);
		shared_set(lk->stuck, !good);
		shared_set(lk->done, lk->done + 1);
	}
	return NULL;
}

static void fill(const struct look *lk)
{
	char buf[FRAME_MAX];
	size_t len = frame_build(buf, &lk->first.frame);

	bpf_xdp_run(lk->xdp, buf, len, 1);
}

/* How many rounds went well. */
static unsigned int run_rounds(struct look *lk, struct trap *tr)
{
	u32 rnd = rnd_start(lk->sc.seed, 0);
	struct jitter jt;
	unsigned int i;
	u64 since;

	jitter_start(&jt, &rnd, JITTER);
	trap_set(tr, true);
	for (i = 0; i < lk->rounds; i++) {
		if (lk->xdp >= 0)
			fill(lk);
		since = stall_now_ns();
		shared_set(lk->begun, i + 1);
		if (sender_send(&lk->first) != SEND_OK)
			ktap_bail("send: errno %d", lk->first.error);
		shared_set(lk->took_ns,
			   min_t(u64, stall_now_ns() - since, TOOK_MOST_NS));
		since = stall_now_ns();
		while (shared_get(lk->done) != i + 1)
			load_wait(since);
		if (shared_get(lk->stuck))
			break;
	}
	trap_set(tr, false);
	jitter_end(&jt);
	return i;
}

int main(int argc, char **argv)
{
	struct look lk = { .rounds = 1000, .xdp = -1 };
	bool xdp = choice_take(&argc, argv, "fill", fills, 0);
	const struct scenario_option extra[] = {
		{ "rounds", &lk.rounds, "of one frame each (1000)" },
	};
	int cpu[CPU_SETSIZE];
	struct qdisc_stats qd;
	unsigned int done;
	pthread_t thread;
	struct trap tr;
	u64 slots, traps;

	scenario_defaults(&lk.sc);
	lk.sc.len = 1;
	scenario_options(&lk.sc, argc, argv, extra, ARRAY_SIZE(extra));
	scenario_need_one_queue(&lk.sc);
	if (!scenario_owns_queue(&lk.sc) || lk.sc.len != 1 ||
	    !qdisc_holds(lk.sc.qdisc))
		ktap_bail("second_look takes tun or tap, a length of 1, a qdisc");
	if (xdp && lk.sc.dev != DEV_TAP)
		ktap_bail("XDP frames go to a tap");
	ktap_plan(2);
	netns_enter();
	bench_open(&lk.bench, &lk.sc, "look0");
	slots = trap_find(lk.bench.dev, lk.sc.len, 0);
	if (xdp)
		lk.xdp = bpf_redirect_to(lk.bench.dev);
	bench_sender(&lk.bench, &lk.sc, &lk.first, !xdp);
	bench_sender(&lk.bench, &lk.sc, &lk.second, false);
	tuntap_nonblock(lk.bench.fd[0]);
	lk.cpu = cpu[cpus_allowed(cpu, CPU_SETSIZE) - 1];
	if (pthread_create(&thread, NULL, other, &lk))
		ktap_bail("no thread");
	/* Each has a CPU, if there are two. */
	cpu_pin(cpu[0]);
	trap_open(&tr, slots, lk.sc.len);
	done = run_rounds(&lk, &tr);
	traps = trap_close(&tr);
	shared_set(lk.stop, true);
	pthread_join(thread, NULL);
	qdisc_read(lk.bench.dev, &qd);
	ktap_figure("traps", (long long)traps, NULL);
	ktap_ok(done == lk.rounds && !qd.qlen,
		"none stays in front of an empty ring: %u rounds of %u, backlog %u",
		done, lk.rounds, qd.qlen);
	ktap_ok(traps >= done, "who looks is held up at the ring: %llu times",
		traps);
	sender_close(&lk.first);
	sender_close(&lk.second);
	if (xdp)
		close(lk.xdp);
	bench_close(&lk.bench);
	return ktap_status();
}
