// SPDX-License-Identifier: GPL-2.0-only
/*
 * pktgen against a reader: what one frame costs, and where the frames went.
 *
 * Made for a clock that counts instructions, so nobody looks at anything while
 * the frames run: the reader sleeps in the kernel when there is none for it,
 * and all counters are read before and after. The time is the one between the
 * first frame that it gets and the last one.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "choice.h"
#include "ktap.h"
#include "load.h"
#include "mark.h"
#include "netdev.h"
#include "pktgen.h"
#include "qdisc.h"
#include "scenario.h"
#include "stall.h"

#define FRAME_BYTES 60
#define END_WAIT_MS 20

static const char * const modes[] = { "start_xmit", "queue_xmit", NULL };

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
	struct vhost *vhost;
	/* Of the part that is measured. */
	u64 delivered;
	u64 first_ns;
	u64 last_ns;
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

	ra->error = pktgen_start();
	shared_set(ra->generating, false);
	return NULL;
}

static void got(struct rate *ra, unsigned int n)
{
	if (!n)
		return;
	ra->last_ns = stall_now_ns();
	if (!ra->delivered)
		ra->first_ns = ra->last_ns;
	ra->delivered += n;
}

/* Read until there is nothing; false if there was nothing at all. */
static bool take_read(struct rate *ra, int timeout_ms)
{
	struct pollfd pfd = { .fd = ra->bench.fd[0], .events = POLLIN };
	char buf[256];
	u64 before = ra->delivered;

	if (poll(&pfd, 1, timeout_ms) < 1)
		return false;
	while (read(pfd.fd, buf, sizeof(buf)) >= 0) {
		/* Two looks at the clock a run, not two a frame. */
		if (!ra->delivered++)
			ra->first_ns = stall_now_ns();
	}
	if (errno != EAGAIN)
		ktap_bail("read: %s", strerror(errno));
	ra->last_ns = stall_now_ns();
	return ra->delivered > before;
}

static void ignore_frame(void *arg, const void *buf, size_t len)
{
	(void)arg;
	(void)buf;
	(void)len;
}

static bool take_vhost(struct rate *ra, int timeout_ms)
{
	unsigned int n;

	vhost_offer(ra->vhost, VHOST_BUFFERS);
	if (!vhost_wait(ra->vhost, timeout_ms))
		return false;
	n = vhost_collect(ra->vhost, ignore_frame, NULL);
	got(ra, n);
	return n > 0;
}

static bool take(struct rate *ra, int timeout_ms)
{
	return ra->vhost ? take_vhost(ra, timeout_ms) :
			   take_read(ra, timeout_ms);
}

/* Generate @count frames a thread and read until there are no more. */
static void run(struct rate *ra, u64 count)
{
	struct stall st;
	pthread_t thread;

	if (pktgen_set_count(&ra->conf, count))
		ktap_bail("pktgen does not take the count");
	ra->delivered = 0;
	ra->generating = true;
	if (pthread_create(&thread, NULL, generate, ra))
		ktap_bail("no thread");
	stall_start(&st, ra->sc.stall_ms);
	/* Only when there is nothing to read is it time to look around. */
	while (take(ra, END_WAIT_MS) ||
	       (shared_get(ra->generating) && !ra->stalled)) {
		stall_note(&st, ra->delivered);
		ra->stalled = stall_over(&st);
	}
	if (ra->stalled)
		pktgen_stop();
	pthread_join(thread, NULL);
	if (ra->error)
		ktap_bail("pktgen start: %s", strerror(-ra->error));
}

static void setup(struct rate *ra)
{
	int err, cpu[CPU_SETSIZE];
	unsigned int cpus = cpus_allowed(cpu, CPU_SETSIZE);

	netns_enter();
	bench_open(&ra->bench, &ra->sc, "rate0");
	ra->conf.ifname = ra->bench.dev;
	ra->conf.size = FRAME_BYTES;
	err = pktgen_setup(&ra->conf);
	if (err)
		ktap_bail("pktgen: %s", strerror(-err));
	/* The last CPU: pktgen's first thread has the first one. */
	cpu_pin(cpu[cpus - 1]);
	if (ra->sc.reader == READER_VHOST) {
		ra->vhost = vhost_open();
		vhost_attach(ra->vhost, ra->bench.fd[0]);
	} else if (fcntl(ra->bench.fd[0], F_SETFL, O_NONBLOCK)) {
		ktap_bail("O_NONBLOCK: %s", strerror(errno));
	}
}

static void report(struct rate *ra, const struct pktgen_result *res,
		   u64 drops, u64 held, const struct qdisc_stats *qd)
{
	u64 all = res->sent + res->errors;
	u64 out = ra->delivered + drops + held;

	ktap_ok(!ra->stalled && res->sent >= ra->conf.threads * ra->count,
		"pktgen comes to its end");
	/* Its errors are frames dropped by the driver or by the qdisc. */
	if (!ktap_ok(all == out + qd->drops,
		     "delivered, dropped and held are all there were"))
		ktap_diag("%llu sent, %llu errors, %llu came out, %u qdisc drops",
			  (unsigned long long)res->sent,
			  (unsigned long long)res->errors,
			  (unsigned long long)ra->delivered, qd->drops);
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
	mark_begin();
	if (!ra->stalled)
		run(ra, ra->count);
	mark_end();
	activity_read(&end);
	qdisc_read(ra->bench.dev, &after);
	netdev_stats(ra->bench.dev, &dev);
	lost = dev.tx_dropped - lost;
	if (pktgen_read(&ra->conf, &res))
		ktap_bail("pktgen does not tell what it did");
	after.drops -= before.drops;

	ktap_figure("sent", (long long)res.sent, "frames");
	ktap_figure("pktgen_errors", (long long)res.errors, "frames");
	ktap_figure("delivered", (long long)ra->delivered, "frames");
	ktap_figure("driver_drops", (long long)lost, "frames");
	ktap_figure("qdisc_drops", after.drops, "frames");
	ktap_figure("elapsed_ns", (long long)(ra->last_ns - ra->first_ns), "ns");
	ktap_figure("requeues", after.requeues - before.requeues, NULL);
	ktap_figure("context_switches",
		    (long long)(end.switches - start.switches), NULL);
	ktap_figure("softirqs_net_tx", (long long)(end.net_tx - start.net_tx),
		    NULL);
	ktap_figure("softirqs_net_rx", (long long)(end.net_rx - start.net_rx),
		    NULL);
	report(ra, &res, lost, after.qlen, &after);
}

int main(int argc, char **argv)
{
	struct rate ra = {
		.count = 20000,
		.warm_up = 1000,
		.conf.threads = 1,
	};
	const struct scenario_option options[] = {
		{ "threads", &ra.conf.threads, "of pktgen" },
		{ "count", &ra.count, "frames of each thread" },
		{ "warm-up", &ra.warm_up, "frames of each thread before" },
		{ "expect-drops", &ra.expect_drops, "1: they are figures only" },
	};
	int mode = choice_take(&argc, argv, "mode", modes, 0);

	scenario_parse(&ra.sc, argc, argv, options, ARRAY_SIZE(options));
	ra.conf.queue_xmit = mode == 1;
	ra.conf.count = ra.count;
	if (ra.sc.dev != DEV_TAP || !ra.sc.len || !ra.conf.threads ||
	    !ra.count || !ra.warm_up)
		ktap_bail("pktgen_rate takes a tap, and numbers above 0");
	ktap_plan(3);
	setup(&ra);
	measure(&ra);
	if (ra.vhost)
		vhost_close(ra.vhost);
	pktgen_cleanup();
	bench_close(&ra.bench);
	return ktap_status();
}
