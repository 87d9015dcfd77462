// SPDX-License-Identifier: GPL-2.0-only
/*
 * TCP from one netns to another by way of two tun or tap devices and a program
 * that copies frames between them, slowly if it is told to: what a VPN does.
 */
#include "choice.h"
#include "drops.h"
#include "ktap.h"
#include "scenario.h"
#include "stall.h"
#include "streams.h"
#include "tunnel.h"

/* With --cut-ms both are judged by the same measure. */
static const char * const kernels[] = { "patched", "stock", NULL };

#define LOOK_NS NSEC_PER_MSEC
/* Of an MTU of 1500, with time stamps. */
#define SEGMENT_BYTES 1448

struct transfer {
	struct scenario sc;
	struct tunnel tunnel;
	struct streams streams;
	unsigned int kib;
	unsigned int cut_ms;
	unsigned int frame_us;
	u64 elapsed_ns;
	bool may_drop;
	bool stalled;
	bool cut;		/* the driver drops, and it takes too long */
};

static void setup(struct transfer *tr)
{
	tunnel_open(&tr->tunnel, &tr->sc);
	drops_start("FULL_RING");
	streams_listen(&tr->streams, TUNNEL_FAR);
	tunnel_enter_near(&tr->tunnel);
	tr->tunnel.relay.frame_us = tr->frame_us;
}

/* Until all is there, or nothing moves, or there is no point in waiting. */
static void watch(struct transfer *tr)
{
	u64 start = stall_now_ns();
	struct stall st;

	stall_start(&st, tr->sc.stall_ms);
	while (!streams_done(&tr->streams) && !tr->stalled && !tr->cut) {
		stall_nap(LOOK_NS);
		stall_note(&st, streams_received(&tr->streams));
		tr->stalled = stall_over(&st);
		tr->elapsed_ns = stall_now_ns() - start;
		if (tr->cut_ms && tr->elapsed_ns > tr->cut_ms * NSEC_PER_MSEC)
			tr->cut = drops_count();
	}
	tr->elapsed_ns = stall_now_ns() - start;
}

static void report(struct transfer *tr)
{
	const struct streams *st = &tr->streams;
	u64 drops = drops_count(), received = streams_received(st);
	const struct tunnel *tu = &tr->tunnel;
	u64 permille = st->n_done ? st->first_done_least * 1000 / st->bytes : 0;

	ktap_figure("elapsed_us", (long long)(tr->elapsed_ns / 1000), "us");
	ktap_figure("elapsed_ns", (long long)tr->elapsed_ns, "ns");
	/* Frames of the fewest that would do, to compare what each one cost. */
	ktap_figure("delivered", (long long)(received / SEGMENT_BYTES), "segments");
	ktap_figure("received", (long long)received, "bytes");
	ktap_figure("retransmits", (long long)streams_retransmits(st), NULL);
	ktap_figure("driver_drops", (long long)drops, "frames");
	ktap_figure("qdisc_drops", (long long)tu->qdisc_drops, "frames");
	ktap_figure("requeues", (long long)tu->requeues, NULL);
	ktap_figure("frames_there", (long long)tu->relay.frames[0], "frames");
	ktap_figure("frames_back", (long long)tu->relay.frames[1], "frames");
	ktap_figure("slowest_to_fastest", (long long)permille, "permille");

	ktap_ok(streams_done(st), "all of it arrives: %llu of %llu bytes in %llu ms%s",
		received, st->n * st->bytes, tr->elapsed_ns / NSEC_PER_MSEC,
		tr->stalled ? ", then nothing more" : tr->cut ? ", too slow" : "");
	ktap_ok(!streams_wrong(st), "every byte is where it belongs");
	if (tr->may_drop)
		ktap_skip("stock may", "neither driver drops a frame");
	else
		ktap_ok(!drops && !tu->tx_dropped,
			"neither driver drops a frame: %llu, %llu retransmits",
			drops, streams_retransmits(st));
}

int main(int argc, char **argv)
{
	struct transfer tr = {
		.streams.n = 1, .kib = 256, .frame_us = 100,
	};
	const struct scenario_option options[] = {
		{ "streams", &tr.streams.n, "at once" },
		{ "kib", &tr.kib, "that each of them sends" },
		{ "frame-us", &tr.frame_us, "that the relay takes over a frame" },
		{ "cut-ms", &tr.cut_ms, "then drops, even stock's, are the end" },
	};
	bool stock;

	stock = choice_take(&argc, argv, "on", kernels, 0);
	scenario_parse(&tr.sc, argc, argv, options, ARRAY_SIZE(options));
	tr.may_drop = stock && !tr.cut_ms;
	scenario_need_one_queue(&tr.sc);
	if (!scenario_owns_queue(&tr.sc) || !tr.sc.len || !tr.kib ||
	    !tr.streams.n || tr.streams.n > STREAMS_MAX)
		ktap_bail("tcp_relay takes tun or tap, 1 to %d streams, numbers above 0",
			  STREAMS_MAX);
	tr.streams.bytes = tr.kib * 1024ULL;
	ktap_plan(3);
	setup(&tr);
	relay_start(&tr.tunnel.relay);
	streams_start(&tr.streams, TUNNEL_FAR);
	watch(&tr);
	streams_end(&tr.streams);
	relay_end(&tr.tunnel.relay);
	tunnel_read(&tr.tunnel);
	report(&tr);
	tunnel_close(&tr.tunnel);
	drops_stop();
	return ktap_status();
}
