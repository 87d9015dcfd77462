// SPDX-License-Identifier: GPL-2.0-only
/*
 * A queue is detached while a sender is in the driver with a frame for it.
 *
 * The other file takes over the queue's number, and the next frame belongs to
 * it. The sender still has the old ring, and may leave it full: that must stop
 * nobody any more. A filter makes it slow, so that it is there most of the time.
 *
 * pfifo_fast may let frames overtake here, as the series' queues hold some: what
 * is enqueued while qdisc_reset_all_tx_gt() empties it is forgotten until another
 * frame, which finds it "empty", has gone past.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bpf.h"
#include "flows.h"
#include "ktap.h"
#include "load.h"
#include "netdev.h"
#include "qdisc.h"
#include "scenario.h"
#include "stall.h"

/* Frames of its own that a file has to get before the next change. */
#define FLOWING 3
/* Numbers that are watched; a change takes some sixty frames, or a thousand. */
#define MARKED 1000000U

struct race {
	struct scenario sc;
	struct bench bench;
	unsigned int changes;
	struct flows out[2];	/* by file */
	u8 *times;		/* of both, each number's */
	u64 tried;
	bool stop;
	int cpu[CPU_SETSIZE];
	unsigned int n_cpus;
};

static void *send_all(void *arg)
{
	struct race *ra = arg;
	struct sender s;

	cpu_pin(ra->cpu[0]);
	bench_sender(&ra->bench, &ra->sc, &s, false);
	s.frame.port = FLOWS_PORT;
	while (!shared_get(ra->stop)) {
		switch (sender_send(&s)) {
		case SEND_OK:
			shared_add(ra->tried, 1);
			break;
		case SEND_NOBUFS:
		case SEND_BLOCKED:
			sched_yield();
			break;
		default:
			ktap_bail("send: %s", strerror(s.error));
		}
	}
	sender_close(&s);
	return NULL;
}

/* All that is there; a detached file has nothing. */
static unsigned int read_file(struct race *ra, unsigned int i)
{
	char buf[FRAME_MAX];
	unsigned int n = 0;
	ssize_t len;

	while ((len = read(ra->bench.fd[i], buf, sizeof(buf))) >= 0) {
		flows_frame(&ra->out[i], buf, (size_t)len);
		n++;
	}
	if (errno != EAGAIN && errno != EBADFD)
		ktap_bail("read: %s", strerror(errno));
	return n;
}

static void *read_all(void *arg)
{
	struct race *ra = arg;

	cpu_pin(ra->cpu[ra->n_cpus - 1]);
	while (!shared_get(ra->stop))
		if (!read_file(ra, 0) && !read_file(ra, 1))
			sched_yield();
	return NULL;
}

/* Until this file has got some more: false if it does not. */
static bool flows(struct race *ra, unsigned int file)
{
	u64 before = shared_get(ra->out[file].frames), now;
	u64 since = stall_now_ns();
	struct stall st;

	stall_start(&st, ra->sc.stall_ms);
	do {
		load_wait(since);
		now = shared_get(ra->out[file].frames) - before;
		if (now >= FLOWING)
			return true;
		stall_note(&st, now);
	} while (!stall_over(&st));
	return false;
}

/* The first queue's file goes and comes back as the last, time after time. */
static unsigned int change_all(struct race *ra)
{
	unsigned int i, first;

	for (i = 0; i < ra->changes; i++) {
		first = i % 2;
		if (!flows(ra, first))
			return i;
		tuntap_queue(ra->bench.fd[first], false);
		if (!flows(ra, !first))
			return i;
		tuntap_queue(ra->bench.fd[first], true);
	}
	return i;
}

static void report(struct race *ra)
{
	u64 late = flows_repeated(&ra->out[0]) + flows_repeated(&ra->out[1]);
	u64 stray = ra->out[0].stray + ra->out[1].stray;
	u64 twice = flows_twice(&ra->out[0]);

	ktap_figure("sent", (long long)ra->tried, "frames");
	ktap_figure("late", (long long)late, "frames");
	if (ra->tried > MARKED)
		ktap_bail("more than %u frames were sent", MARKED);
	ktap_ok(!twice && !stray,
		"each frame is one file's, once: %llu came twice, %llu strays",
		twice, stray);
	if (strcmp(ra->sc.qdisc, "pfifo_fast"))
		ktap_ok(!late, "each file's are in order: %llu late", late);
	else
		ktap_skip("pfifo_fast, emptied, lets frames overtake",
			  "each file's are in order: %llu late", late);
}

static void race(struct race *ra)
{
	pthread_t sender, reader;
	struct qdisc_stats qd;
	unsigned int done;

	ra->n_cpus = cpus_allowed(ra->cpu, CPU_SETSIZE);
	if (pthread_create(&sender, NULL, send_all, ra) ||
	    pthread_create(&reader, NULL, read_all, ra))
		ktap_bail("no thread");
	done = change_all(ra);
	qdisc_read(ra->bench.dev, &qd);
	if (!ktap_ok(done == ra->changes,
		     "the file that takes over gets what is sent: %u of %u times",
		     done, ra->changes))
		ktap_diag("stalled: backlog %u", qd.qlen);
	shared_set(ra->stop, true);
	pthread_join(sender, NULL);
	pthread_join(reader, NULL);
	report(ra);
}

int main(int argc, char **argv)
{
	struct race ra = { .changes = 30 };
	struct scenario *sc = &ra.sc;
	const struct scenario_option options[] = {
		{ "changes", &ra.changes, "of the queues meanwhile (30)" },
	};
	unsigned int i;

	scenario_defaults(sc);
	sc->len = 1;
	scenario_options(sc, argc, argv, options, ARRAY_SIZE(options));
	if (!scenario_owns_queue(sc) || !sc->len || !ra.changes)
		ktap_bail("detach_race takes tun or tap, a length and changes above 0");
	sc->queues = 2;
	ra.times = calloc(MARKED, sizeof(*ra.times));
	if (!ra.times)
		ktap_bail("no memory");
	ktap_plan(3);
	netns_enter();
	bench_open(&ra.bench, sc, "race0");
	bpf_steer_by_port(ra.bench.fd[0], scenario_ether(sc), FLOWS_PORT);
	bpf_slow_filter(ra.bench.fd[0]);
	for (i = 0; i < 2; i++) {
		flows_start(&ra.out[i], 1, scenario_ether(sc), ra.bench.cookie);
		flows_mark(&ra.out[i], ra.times, MARKED);
		tuntap_nonblock(ra.bench.fd[i]);
	}
	race(&ra);
	bench_close(&ra.bench);
	free(ra.times);
	return ktap_status();
}
