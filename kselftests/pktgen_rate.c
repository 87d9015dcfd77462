// SPDX-License-Identifier: GPL-2.0-only
/*
 * pktgen against a reader: what one frame costs, and where the frames went.
 *
 * Made for a clock that counts instructions, so nobody looks at anything while
 * the frames run: the reader sleeps in the kernel when there is none for it,
 * and all counters are read before and after. The time is the one between the
 * first frame that it gets and the last one. --perf is not for that clock: each
 * switch of a thread then takes some hundred instructions more.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <linux/if_ether.h>

#include "choice.h"
#include "ktap.h"
#include "load.h"
#include "mark.h"
#include "netdev.h"
#include "perf.h"
#include "pktgen.h"
#include "qdisc.h"
#include "scenario.h"
#include "sink.h"
#include "stall.h"
#include "vhost.h"

#define FRAME_BYTES 60
#define END_WAIT_MS 20
#define GIVE_UP_MS 500U
/* The reader's own CPU. */
#define SAME_CPU (~0U)

static const char * const modes[] = { "start_xmit", "queue_xmit", NULL };
static const char * const consumers[] = { "count", "drop", NULL };

/* What the whole machine counts. */
struct activity {
	u64 switches;
	u64 net_tx;
	u64 net_rx;
};

struct rate {
	struct scenario sc;
	struct bench bench;
	struct pktgen_conf conf;
	unsigned int count;
	unsigned int warm_up;
	unsigned int expect_drops;
	unsigned int pin;
	unsigned int pin_cpu;
	unsigned int perf;
	struct sink sink;
	struct perf counters;	/* of pktgen's threads, with @perf */
	bool stalled;
	bool generating;
	int error;		/* from pktgen's start */
};

/* /proc/stat: the word @name, then numbers: the @nr-th of them. */
static u64 proc_stat(const char *name, unsigned int nr)
{
	unsigned long long value = 0;
	FILE *f = fopen("/proc/stat", "re");
	char line[1024], *at;
	int used;

	if (!f)
		ktap_bail("/proc/stat: %s", strerror(errno));
	while (fgets(line, sizeof(line), f)) {
		if (strncmp(line, name, strlen(name)))
			continue;
		at = line + strlen(name);
		while (nr-- && sscanf(at, " %llu%n", &value, &used) == 1)
			at += used;
		break;
	}
	fclose(f);
	return value;
}

static void activity_read(struct activity *ac)
{
	/* The first number is a sum; then HI, TIMER, NET_TX, NET_RX. */
	ac->switches = proc_stat("ctxt", 1);
	ac->net_tx = proc_stat("softirq", 4);
	ac->net_rx = proc_stat("softirq", 5);
}

static void *generate(void *arg)
{
	struct rate *ra = arg;

	ra->error = pktgen_start(&ra->conf);
	shared_set(ra->generating, false);
	return NULL;
}

/*
 * pktgen ends when its last frame is gone: read what there is, and have the
 * qdisc throw the rest away, so that a stall is not a hang.
 */
static void give_up(struct rate *ra)
{
	struct stall st;

	pktgen_stop();
	stall_start(&st, max(ra->sc.stall_ms, GIVE_UP_MS));
	while (shared_get(ra->generating)) {
		sink_take(&ra->sink, END_WAIT_MS);
		stall_note(&st, ra->sink.frames);
		if (!stall_over(&st))
			continue;
		netdev_up(ra->bench.dev, false);
		break;
	}
}

/* Generate @count frames a thread and read until there are no more. */
static void run(struct rate *ra, u64 count)
{
	struct stall st;
	pthread_t thread;

	if (pktgen_set_count(&ra->conf, count))
		ktap_bail("pktgen does not take the count");
	sink_restart(&ra->sink);
	ra->generating = true;
	if (pthread_create(&thread, NULL, generate, ra))
		ktap_bail("no thread");
	stall_start(&st, ra->sc.stall_ms);
	/* Only when there is nothing to read is it time to look around. */
	while (sink_take(&ra->sink, END_WAIT_MS) ||
	       (shared_get(ra->generating) && !ra->stalled)) {
		stall_note(&st, ra->sink.frames);
		ra->stalled = stall_over(&st);
	}
	if (ra->stalled)
		give_up(ra);
	pthread_join(thread, NULL);
	if (ra->error)
		ktap_bail("pktgen start: %s", strerror(-ra->error));
}

static void setup(struct rate *ra)
{
	int err, cpu[CPU_SETSIZE], own;
	unsigned int cpus = cpus_allowed(cpu, CPU_SETSIZE);
	struct pktgen_tasks others, ours;

	pktgen_others(&others);
	netns_enter();
	pktgen_ours(&ra->conf, &others, &ours);
	if (ra->perf)
		perf_open(&ra->counters, ours.tid, ours.n);
	bench_open(&ra->bench, &ra->sc, "rate0");
	if (ra->sc.dev == DEV_TUN)
		tuntap_ether(ra->bench.fd[0], ra->bench.dev);
	ra->conf.ifname = ra->bench.dev;
	err = pktgen_setup(&ra->conf);
	if (err)
		ktap_bail("pktgen: %s", strerror(-err));
	/* The CPU that comes last, the first one being that of pktgen's first. */
	own = cpu[(ra->conf.first_cpu + cpus - 1) % cpus];
	cpu_pin(own);
	sink_open(&ra->sink, ra->sc.reader, ra->bench.fd[0], ra->conf.size);
	/* The worker has come into being with this thread's one CPU. */
	if (ra->sc.reader != READER_VHOST)
		return;
	if (!ra->pin)
		vhost_place(cpu, cpus);
	else if (ra->pin_cpu != SAME_CPU)
		vhost_place(&cpu[ra->pin_cpu % cpus], 1);
}

static void report(struct rate *ra, const struct pktgen_result *res,
		   u64 drops, u64 held, const struct qdisc_stats *qd)
{
	u64 all = res->sent + res->errors;
	u64 out = ra->sink.frames + drops + held;

	ktap_ok(!ra->stalled && res->sent >= ra->conf.threads * ra->count,
		"pktgen comes to its end");
	/* Its errors are frames dropped by the driver or by the qdisc. */
	if (!ktap_ok(all == out + qd->drops,
		     "delivered, dropped and held are all there were"))
		ktap_diag("%llu sent, %llu errors, %llu came out, %u qdisc drops",
			  (unsigned long long)res->sent,
			  (unsigned long long)res->errors,
			  (unsigned long long)ra->sink.frames, qd->drops);
	if (!qdisc_holds(ra->sc.qdisc))
		ktap_skip("noqueue drops, as in stock", "no driver drop");
	else if (ra->expect_drops)
		ktap_skip("only a figure here", "no driver drop");
	else
		ktap_ok(!drops, "no driver drop");
}

static void measure(struct rate *ra)
{
	struct qdisc_stats before, after;
	struct activity start, end;
	struct pktgen_result res;
	struct netdev_stats dev;
	u64 lost;

	run(ra, ra->warm_up);
	netdev_stats(ra->bench.dev, &dev);
	lost = dev.tx_dropped;
	qdisc_read(ra->bench.dev, &before);
	activity_read(&start);
	perf_begin(&ra->counters);
	mark_begin();
	if (!ra->stalled)
		run(ra, ra->count);
	mark_end();
	perf_end(&ra->counters);
	activity_read(&end);
	qdisc_read(ra->bench.dev, &after);
	netdev_stats(ra->bench.dev, &dev);
	lost = dev.tx_dropped - lost;
	if (pktgen_read(&ra->conf, &res))
		ktap_bail("pktgen does not tell what it did");
	after.drops -= before.drops;

	ktap_figure("sent", (long long)res.sent, "frames");
	ktap_figure("transmitted", (long long)res.sent, "frames");
	/*
	 * By whom it was dropped, each frame once: what pktgen calls an error
	 * is the same frame again, seen from the sender.
	 */
	ktap_figure("lost", (long long)(lost + after.drops), "frames");
	ktap_figure("received", (long long)ra->sink.frames, "frames");
	ktap_figure("pktgen_errors", (long long)res.errors, "frames");
	ktap_figure("delivered", (long long)ra->sink.frames, "frames");
	ktap_figure("driver_drops", (long long)lost, "frames");
	ktap_figure("qdisc_drops", after.drops, "frames");
	ktap_figure("elapsed_ns", (long long)(ra->sink.last_ns - ra->sink.first_ns), "ns");
	ktap_figure("requeues", after.requeues - before.requeues, NULL);
	ktap_figure("context_switches",
		    (long long)(end.switches - start.switches), NULL);
	ktap_figure("softirqs_net_tx", (long long)(end.net_tx - start.net_tx),
		    NULL);
	ktap_figure("softirqs_net_rx", (long long)(end.net_rx - start.net_rx),
		    NULL);
	perf_figures(&ra->counters, PKTGEN_THREAD);
	report(ra, &res, lost, after.qlen, &after);
}

int main(int argc, char **argv)
{
	struct rate ra = {
		.count = 20000,
		.warm_up = 1000,
		.conf.threads = 1,
		.conf.size = FRAME_BYTES,
		.pin = 1,
		.pin_cpu = SAME_CPU,
	};
	const struct scenario_option options[] = {
		{ "threads", &ra.conf.threads, "of pktgen" },
		{ "count", &ra.count, "frames of each thread" },
		{ "warm-up", &ra.warm_up, "frames of each thread before" },
		{ "size", &ra.conf.size, "bytes of a frame" },
		{ "first-cpu", &ra.conf.first_cpu, "of pktgen; the reader's is the one before" },
		{ "pin", &ra.pin, "0: vhost may use any CPU" },
		{ "pin-cpu", &ra.pin_cpu, "of vhost, else it is the reader's" },
		{ "perf", &ra.perf, "1: counters of pktgen's threads" },
		{ "expect-drops", &ra.expect_drops, "1: they are figures only" },
	};
	int mode = choice_take(&argc, argv, "mode", modes, 0);

	ra.sink.drop = choice_take(&argc, argv, "consumer", consumers, 0) == 1;
	scenario_parse(&ra.sc, argc, argv, options, ARRAY_SIZE(options));
	scenario_need_one_queue(&ra.sc);
	ra.conf.queue_xmit = mode == 1;
	ra.conf.count = ra.count;
	if (!scenario_owns_queue(&ra.sc) || !ra.sc.len || !ra.conf.threads ||
	    !ra.count || !ra.warm_up || ra.conf.size < FRAME_BYTES ||
	    ra.conf.size > ETH_FRAME_LEN)
		ktap_bail("pktgen_rate takes tun or tap, numbers above 0, frames of %d to %d bytes",
			  FRAME_BYTES, ETH_FRAME_LEN);
	ktap_plan(3);
	setup(&ra);
	measure(&ra);
	sink_close(&ra.sink);
	perf_close(&ra.counters);
	pktgen_cleanup();
	bench_close(&ra.bench);
	return ktap_status();
}
