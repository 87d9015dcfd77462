// SPDX-License-Identifier: GPL-2.0-only
/*
 * Under noqueue a full ring refuses frames, and nobody waits. It is still so
 * after the device was changed over the full ring: whatever looks at the ring
 * then has no business with the queue, since the core refuses to send to one
 * that is stopped, with ENETDOWN and a complaint in the log.
 */
#include "choice.h"
#include "drops.h"
#include "ktap.h"
#include "netdev.h"
#include "scenario.h"

#define EXTRA 5

enum action { ACTION_SHRINK, ACTION_LINK };

static const char * const actions[] = { "shrink", "link", NULL };

static void check_refuses(const struct bench *b, const struct scenario *sc,
			  struct sender *s)
{
	u64 full = drops_count();
	unsigned int took = sender_send_many(s, EXTRA);

	full = drops_count() - full;
	ktap_ok(!took && full == EXTRA && !s->count[SEND_NETDOWN],
		"what is sent is dropped at the ring: %llu of %d, %llu times ENETDOWN",
		full, EXTRA, s->count[SEND_NETDOWN]);
	ktap_ok(!bench_stopped(b, sc), "nothing is stopped");
}

int main(int argc, char **argv)
{
	enum action action = (enum action)choice_take(&argc, argv, "action",
						      actions, ACTION_SHRINK);
	unsigned int kept, got, fresh;
	struct scenario sc;
	struct sender s;
	struct reader r;
	struct tally t;
	struct bench b;

	scenario_parse(&sc, argc, argv, NULL, 0);
	if (!scenario_owns_queue(&sc) || sc.len < 2)
		ktap_bail("tun and tap only, and a ring that can become shorter");
	sc.qdisc = "noqueue";
	ktap_plan(6);
	netns_enter();
	bench_open(&b, &sc, "full0");
	bench_sender(&b, &sc, &s, false);
	tally_start(&t, scenario_ether(&sc), b.cookie);
	reader_open(&r, sc.reader, b.fd[0], &t, sc.stall_ms);
	drops_start("FULL_RING");

	kept = sender_send_many(&s, sc.len);
	ktap_ok(kept == sc.len, "the ring holds %u of %u", kept, sc.len);
	if (action == ACTION_SHRINK) {
		kept /= 2;
		netdev_txqueuelen(b.dev, kept);
	} else {
		netdev_up(b.dev, false);
		netdev_up(b.dev, true);
	}
	check_refuses(&b, &sc, &s);
	reader_start(&r);
	got = reader_take(&r, kept);
	ktap_ok(got == kept, "what the ring kept comes out: %u of %u", got, kept);
	fresh = sender_send_many(&s, 1);
	got = reader_take(&r, fresh);
	ktap_ok(fresh == 1 && got == 1, "fresh frames flow");
	ktap_ok(!t.repeated && t.frames == kept + 1, "each of them once");

	drops_stop();
	reader_close(&r);
	sender_close(&s);
	bench_close(&b);
	return ktap_status();
}
