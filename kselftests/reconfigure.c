// SPDX-License-Identifier: GPL-2.0-only
/*
 * The device is changed while its ring is empty, half full, or full with a
 * backlog behind it. Whatever that destroys, afterwards no queue may stay
 * stopped over a ring that has room: what is sent then must come out.
 */
#include <errno.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

#include "change.h"
#include "choice.h"
#include "drain.h"
#include "drops.h"
#include "ktap.h"
#include "load.h"
#include "netdev.h"
#include "probe.h"
#include "requeue.h"
#include "ring.h"
#include "stall.h"

/*
 * Nothing was read yet, and a sender that slept does so again: what is inside,
 * and not in the qdisc, tells of the free slots. Once something is read it may
 * send anew, and be held up with all that waits.
 */
static void check_change(struct change *ch)
{
	struct tally *t = &ch->tally;
	unsigned int waiting;
	enum probe pr;
	u64 held;

	change_settle(ch);
	waiting = change_backlog(ch);
	held = change_inside(ch) - waiting;
	pr = change_probe(ch);
	reader_rest(&ch->reader);
	if (!ktap_ok(pr != PROBE_STOPPED || (ch->len && held >= ch->len),
		     "not stopped over a ring with room"))
		ktap_diag("ring %llu of %u, backlog %u, queue %s", held,
			  ch->len, waiting, probe_name(pr));
	ktap_ok(change_release(ch), "a sender that slept goes on");
	/* An emptied ring leaves a gap before what the qdisc may still have. */
	if (!ktap_ok(t->frames >= ch->kept && !t->repeated &&
		     (!t->missing || !ch->kept),
		     "what the ring kept comes out once, in order"))
		ktap_diag("%llu frames of %u, %llu missing, %llu repeated",
			  (unsigned long long)t->frames, ch->kept,
			  (unsigned long long)t->missing,
			  (unsigned long long)t->repeated);
	ktap_ok(!change_backlog(ch), "nothing waits in front of the empty ring");
	ktap_figure("sent", (long long)ch->sender.frame.seq, "frames");
	ktap_figure("came_out", (long long)t->frames, "frames");
	ktap_figure("driver_drops", (long long)drops_count_at("FULL_RING"), "frames");
}

/* ENETDOWN until the reader has made room is all that may differ. */
static bool refuses(struct change *ch)
{
	unsigned int took = sender_send_many(&ch->sender, 3);

	return !took && !ch->sender.count[SEND_OTHER] &&
	       !ch->sender.count[SEND_BLOCKED];
}

static bool as_stock(struct change *ch)
{
	u64 down = ch->sender.count[SEND_NETDOWN];
	unsigned int took = sender_send_many(&ch->sender, ch->len + CHANGE_EXTRA);
	unsigned int got = reader_take(&ch->reader, took);

	if (took >= ring_room(ch->len) && took <= ch->len && got == took &&
	    ch->sender.count[SEND_NETDOWN] == down)
		return true;
	ktap_diag("%u taken of %u, %llu times ENETDOWN", took, ch->len,
		  (unsigned long long)(ch->sender.count[SEND_NETDOWN] - down));
	return false;
}

/* What the driver dropped for a full ring is counted, and nothing else. */
static bool counts_drops(const struct change *ch)
{
	u64 full = drops_count_at("FULL_RING");
	struct netdev_stats st;

	netdev_stats(ch->bench.dev, &st);
	if (st.tx_dropped == full && !st.errors)
		return true;
	ktap_diag("tx_dropped %llu, %llu FULL_RING, %llu errors", st.tx_dropped,
		  full, st.errors);
	return false;
}

static void run_change(struct change *ch)
{
	bool special = true;

	change_fill(ch);
	change_act(ch);
	if (ch->action == ACT_ZERO) {
		sender_send_many(&ch->sender, 3);
		special = change_probe(ch) != PROBE_STOPPED;
		change_resize(ch, ch->sc.len);
	} else if (ch->action == ACT_TO_NOQUEUE && ch->state >= STATE_FULL) {
		change_settle(ch);
		special = refuses(ch);
	} else if (ch->action == ACT_REOPEN_GROW) {
		special = !ch->refused;
	}
	reader_open(&ch->reader, ch->sc.reader, ch->bench.fd[0], &ch->tally,
		    ch->sc.stall_ms);
	reader_start(&ch->reader);
	check_change(ch);
	if (ch->action == ACT_TO_NOQUEUE)
		special = as_stock(ch) && special;
	ktap_ok(change_fresh(ch), "fresh frames flow");
	if (ch->action == ACT_ZERO)
		ktap_ok(special, "length 0 stops nothing");
	else if (ch->action == ACT_TO_NOQUEUE)
		ktap_ok(special, "noqueue refuses as in stock");
	else if (ch->read_meanwhile)
		ktap_ok(ch->came == ch->kept, "what the ring kept comes meanwhile: %u of %u",
			ch->came, ch->kept);
	else if (ch->action == ACT_SHRINK && ch->state == STATE_STOPPED)
		ktap_skip("who sends meanwhile may find no qdisc, which counts, too",
			  "what a shorter ring destroys is no drop of the device");
	else if (ch->action == ACT_SHRINK)
		ktap_ok(counts_drops(ch), "what a shorter ring destroys is no drop of the device");
	else if (ch->action == ACT_REOPEN_GROW)
		ktap_ok(special, "without a file the length changes: %s",
			strerror(-ch->refused));
	else
		ktap_skip("nothing of that kind", "what this change alone must do");
	ktap_ok(change_balances(ch), "what did not come out was freed, none without a trace");
	reader_close(&ch->reader);
}

static bool reader_returns(const struct drain *dr, unsigned int stall_ms)
{
	struct stall st;

	stall_start(&st, stall_ms);
	while (!shared_get(dr->ended) && !stall_over(&st))
		stall_nap(NSEC_PER_MSEC);
	return shared_get(dr->ended);
}

/* The reader's thread is in read() when the device goes, or goes elsewhere. */
static void run_blocked(struct change *ch)
{
	int cpu[CPU_SETSIZE];
	unsigned int n = cpus_allowed(cpu, CPU_SETSIZE);
	struct flows out;
	struct drain dr = {
		.kind = ch->sc.reader,
		.fd = ch->bench.fd[0],
		.cpu = cpu[n - 1],
		.len = ch->sc.len,
		.calm = true,
		.out = &out,
	};

	flows_start(&out, 1, scenario_ether(&ch->sc), ch->bench.cookie);
	ch->sender.frame.port = FLOWS_PORT;
	drain_start(&dr);
	sender_send(&ch->sender);
	/* Now it waits for the next one, or is just about to. */
	ktap_ok(load_wait_for(&out.frames, 1, ch->sc.stall_ms),
		"the reader is at work");
	if (ch->action == ACT_DELETE) {
		netdev_delete(ch->bench.dev);
		/* In the ring's wait, or just before it. */
		ktap_ok(reader_returns(&dr, ch->sc.stall_ms) &&
			(dr.error == EFAULT || dr.error == EBADFD),
			"a blocked reader returns, with EFAULT or EBADFD");
		drain_end(&dr);
		return;
	}
	change_act(ch);
	ch->sender.frame.port = FLOWS_PORT;
	n = sender_send_many(&ch->sender, ring_room(ch->len));
	ktap_ok(n == ring_room(ch->len) &&
		load_wait_for(&out.frames, 1 + n, ch->sc.stall_ms),
		"a blocked reader goes on reading");
	drain_end(&dr);
	tally_start(&ch->tally, scenario_ether(&ch->sc), ch->bench.cookie);
}

/* Nobody reads; whoever does so later must not wait for ever. */
static void run_deleted(struct change *ch)
{
	char buf[FRAME_MAX];
	ssize_t len;
	bool slept;

	change_fill(ch);
	netdev_delete(ch->bench.dev);
	slept = ch->feeder.pid;
	ktap_ok(!netdev_exists(ch->bench.dev) &&
		(!slept || feeder_ends(&ch->feeder, ch->sc.stall_ms)),
		"the device is gone, and a sender does not wait for it");
	len = read(ch->bench.fd[0], buf, sizeof(buf));
	ktap_ok(len < 0 && errno == EBADFD, "a read of it fails with EBADFD");
}

static void run_gone(struct change *ch)
{
	if (ch->state == STATE_EMPTY)
		run_blocked(ch);
	else
		run_deleted(ch);
	if (ch->action == ACT_DELETE) {
		sender_close(&ch->sender);
		bench_close(&ch->bench);
		bench_open(&ch->bench, &ch->sc, "change1");
		bench_sender(&ch->bench, &ch->sc, &ch->sender, false);
	}
	reader_open(&ch->reader, ch->sc.reader, ch->bench.fd[0], &ch->tally,
		    ch->sc.stall_ms);
	reader_start(&ch->reader);
	ktap_ok(change_fresh(ch), "fresh frames flow");
	reader_close(&ch->reader);
}

static bool blocks(const struct change *ch)
{
	return ch->action == ACT_DELETE ||
	       (ch->action == ACT_MOVE && ch->state == STATE_EMPTY);
}

int main(int argc, char **argv)
{
	struct change ch = {
		.action = (enum action)choice_take(&argc, argv, "action",
						   change_actions, ACT_GROW),
		.state = (enum state)choice_take(&argc, argv, "state",
						 change_states, STATE_FULL),
	};

	scenario_parse(&ch.sc, argc, argv, NULL, 0);
	if (!scenario_owns_queue(&ch.sc) || !ch.sc.len ||
	    ch.sc.reader == READER_VHOST)
		ktap_bail("reconfigure takes tun or tap, a length above 0, no vhost");
	ch.len = ch.sc.len;
	if (ch.action == ACT_DETACH_ATTACH) {
		ktap_plan(REQUEUE_TESTS);
		netns_enter();
		bench_count_freed(&ch.sc);
		/* No process sleeps here; that is for reconfigure_busy. */
		if (ch.state == STATE_STOPPED)
			ch.state = STATE_FULL;
		requeue_all(&ch.sc, change_fill_of(&ch));
		drops_stop();
		return ktap_status();
	}
	ktap_plan(blocks(&ch) ? 3 : 7);
	ch.sc.own_protocol = true;
	netns_enter();
	bench_open(&ch.bench, &ch.sc, "change0");
	bench_sender(&ch.bench, &ch.sc, &ch.sender, false);
	tally_start(&ch.tally, scenario_ether(&ch.sc), ch.bench.cookie);
	bench_count_freed(&ch.sc);
	if (blocks(&ch))
		run_gone(&ch);
	else
		run_change(&ch);
	drops_stop();
	sender_close(&ch.sender);
	if (ch.feeder.st)
		feeder_close(&ch.feeder);
	bench_close(&ch.bench);
	return ktap_status();
}
