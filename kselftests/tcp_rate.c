// SPDX-License-Identifier: GPL-2.0-only
/*
 * iperf3 from one netns to another by way of two tun or tap devices and a
 * program that copies frames between them, slowly if it is told to.
 *
 * iperf3 stops reading when the client is through, not when all is there: what
 * the sockets and queues still hold then is lost to both. A time of its own
 * (--seconds) is for lengths at which a stock kernel would never come to the end
 * of a number of bytes.
 */
#include "iperf.h"
#include "ktap.h"
#include "load.h"
#include "scenario.h"
#include "stall.h"
#include "tunnel.h"

#define LOOK_MS 20
#define STREAMS_MOST 64

struct transfer {
	struct scenario sc;
	struct tunnel tunnel;
	struct iperf iperf;
	unsigned int streams;
	unsigned int kib;
	unsigned int seconds;
	unsigned int frame_us;
	unsigned int deadline_ms;
	unsigned int expect_drops;
	bool stalled;
	bool late;
};

static void setup(struct transfer *tr)
{
	tunnel_open(&tr->tunnel, &tr->sc);
	iperf_serve(&tr->iperf, TUNNEL_FAR);
	tunnel_enter_near(&tr->tunnel);
	tr->tunnel.relay.frame_us = tr->frame_us;
	tr->tunnel.relay.vhost = tr->sc.reader == READER_VHOST;
}

/* Until both ends of it are through, or no frame moves, or it takes too long. */
static void watch(struct transfer *tr)
{
	u64 start = stall_now_ns();
	struct stall st;

	stall_start(&st, tr->sc.stall_ms);
	while (iperf_hear(&tr->iperf, LOOK_MS) && !tr->stalled && !tr->late) {
		stall_note(&st, shared_get(tr->tunnel.relay.frames[0]) +
				shared_get(tr->tunnel.relay.frames[1]));
		tr->stalled = stall_over(&st);
		tr->late = stall_now_ns() - start > tr->deadline_ms * NSEC_PER_MSEC;
	}
	iperf_end(&tr->iperf);
}

static void report(struct transfer *tr)
{
	u64 wanted = tr->seconds ? 1 : tr->streams * tr->kib * 1024ULL;
	const struct tunnel *tu = &tr->tunnel;
	struct iperf_result res;
	bool ended;

	ended = ktap_ok(iperf_good(&tr->iperf), "iperf3 ends by itself%s",
			tr->stalled ? ": no frame moves" :
			tr->late ? ": it takes too long" : "");
	if (!iperf_result(&tr->iperf, &res) && ended)
		ktap_bail("iperf3 does not say what it did");
	ktap_figure("sent", (long long)res.sent, "bytes");
	ktap_figure("received", (long long)res.received, "bytes");
	ktap_figure("elapsed_ns", (long long)res.elapsed_ns, "ns");
	ktap_figure("retransmits", (long long)res.retransmits, NULL);
	ktap_figure("driver_drops", (long long)tu->tx_dropped, "frames");
	ktap_figure("qdisc_drops", (long long)tu->qdisc_drops, "frames");
	ktap_figure("requeues", (long long)tu->requeues, NULL);
	ktap_figure("frames_there", (long long)tu->relay.frames[0], "frames");
	ktap_figure("frames_back", (long long)tu->relay.frames[1], "frames");

	ktap_ok(res.sent >= wanted && res.received && res.received <= res.sent,
		"it sends all that it should, and that arrives: %llu of %llu bytes",
		res.received, res.sent);
	if (tr->expect_drops)
		ktap_skip("only a figure here", "neither driver drops a frame");
	else
		ktap_ok(!tu->tx_dropped, "neither driver drops a frame: %llu",
			tu->tx_dropped);
}

int main(int argc, char **argv)
{
	static struct transfer tr = {
		.streams = 1, .kib = 1024, .deadline_ms = 40000,
	};
	const struct scenario_option options[] = {
		{ "streams", &tr.streams, "at once" },
		{ "kib", &tr.kib, "for each of them to send" },
		{ "seconds", &tr.seconds, "to send for, whatever that comes to" },
		{ "frame-us", &tr.frame_us, "that the relay takes over a frame" },
		{ "deadline-ms", &tr.deadline_ms, "for all of it" },
		{ "expect-drops", &tr.expect_drops, "1: they are figures only" },
	};

	scenario_parse(&tr.sc, argc, argv, options, ARRAY_SIZE(options));
	scenario_need_one_queue(&tr.sc);
	if (!scenario_owns_queue(&tr.sc) || !tr.sc.len || !tr.kib ||
	    !tr.streams || tr.streams > STREAMS_MOST)
		ktap_bail("tcp_rate takes tun or tap, 1 to %d streams, numbers above 0",
			  STREAMS_MOST);
	ktap_plan(3);
	if (!iperf_find(&tr.iperf)) {
		ktap_skip_rest("no iperf3 here");
		return ktap_status();
	}
	setup(&tr);
	relay_start(&tr.tunnel.relay);
	iperf_connect(&tr.iperf, TUNNEL_FAR, tr.streams, tr.seconds,
		      tr.streams * tr.kib * 1024ULL);
	watch(&tr);
	relay_end(&tr.tunnel.relay);
	tunnel_read(&tr.tunnel);
	report(&tr);
	tunnel_close(&tr.tunnel);
	return ktap_status();
}
