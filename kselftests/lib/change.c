// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <string.h>
#include <unistd.h>
#include <linux/if_tun.h>

#include "change.h"
#include "drops.h"
#include "ktap.h"
#include "netdev.h"
#include "probe.h"
#include "qdisc.h"
#include "ring.h"
#include "scenario.h"
#include "stall.h"

const char * const change_actions[] = {
	"grow", "shrink", "zero", "detach_attach", "reopen", "reopen_grow",
	"reopen_carrier", "link", "link_read", "link_vhost", "carrier",
	"carrier_read", "carrier_vhost", "carrier_grow", "qdisc_to_noqueue",
	"qdisc_replace", "delete", "move", NULL,
};

const char * const change_states[] = {
	"empty", "half", "full", "stopped", NULL,
};

unsigned int change_backlog(const struct change *ch)
{
	struct qdisc_stats qd;

	qdisc_read(ch->bench.dev, &qd);
	return qd.qlen;
}

unsigned int change_fill_of(const struct change *ch)
{
	switch (ch->state) {
	case STATE_HALF:
	case STATE_STOPPED:
		return ch->sc.len / 2;
	case STATE_FULL:
		return ch->sc.len + CHANGE_EXTRA;
	default:
		return 0;
	}
}

/* It has more than fits, also when it can go on for a while. */
static void start_feeder(struct change *ch)
{
	struct feeder *f = &ch->feeder;

	feeder_open(f, &ch->bench, &ch->sc, VIA_PACKET);
	f->packet.frame.cookie ^= 1;
	if (ch->port)
		feeder_port(f, ch->port);
	feeder_start(f, 3 * ch->sc.len + 100, FEED_BLOCK);
	feeder_blocks(f, ch->sc.stall_ms);
}

/* What became a packet: not what a device that is down or gone refused. */
static u64 fed(const struct change *ch)
{
	const struct feeder_state *st = ch->feeder.st;
	bool refused = st->error == ENETDOWN && ch->action == ACT_TO_NOQUEUE;

	return st->sent + st->refused + refused;
}

void change_fill(struct change *ch)
{
	unsigned int n = change_fill_of(ch);

	sender_send_many(&ch->sender, n);
	ch->kept = min(n, ch->sc.len);
	if (ch->state == STATE_STOPPED)
		start_feeder(ch);
	if (ch->state == STATE_FULL || ch->state == STATE_STOPPED)
		ktap_figure("backlog_before", change_backlog(ch), "frames");
}

void change_settle(struct change *ch)
{
	if (ch->feeder.pid)
		feeder_blocks(&ch->feeder, ch->sc.stall_ms);
}

bool change_release(struct change *ch)
{
	struct feeder *f = &ch->feeder;
	struct stall st;
	bool ended;

	if (!f->st)
		return true;
	stall_start(&st, ch->sc.stall_ms);
	do {
		ended = !f->pid || feeder_ends(f, 1);
		/* What it sent last is in the ring or before it. */
		reader_rest(&ch->reader);
		stall_note(&st, ch->tally.foreign);
	} while ((!ended || change_backlog(ch)) && !stall_over(&st));
	if (!ended)
		ktap_diag("the sender sleeps on, backlog %u, queue %s",
			  change_backlog(ch), probe_name(change_probe(ch)));
	return ended;
}

enum probe change_probe(struct change *ch)
{
	ch->tried++;
	return probe_queue(&ch->bench, &ch->sc);
}

static u64 tried(const struct change *ch)
{
	u64 all = ch->tried + sender_tried(&ch->sender);

	return ch->feeder.st ? all + fed(ch) : all;
}

static u64 came_out(const struct change *ch)
{
	return ch->tally.frames + ch->tally.foreign;
}

u64 change_inside(const struct change *ch)
{
	return tried(ch) - came_out(ch) - drops_count();
}

bool change_balances(const struct change *ch)
{
	u64 freed = drops_count();

	ktap_figure("freed", (long long)freed, "frames");
	if (tried(ch) == came_out(ch) + freed)
		return true;
	ktap_diag("%llu tried, %llu came out, %llu were freed", tried(ch),
		  came_out(ch), freed);
	drops_tell();
	return false;
}

void change_resize(struct change *ch, unsigned int len)
{
	netdev_txqueuelen(ch->bench.dev, len);
	ch->len = len;
	ch->kept = min(ch->kept, len);
}

/* Nobody has it open for a moment; @len: the length it gets then, or has. */
static void reopen(struct change *ch, unsigned int flags, unsigned int len)
{
	ch->refused = tuntap_reopen(&ch->bench.fd[0], ch->bench.dev,
				    flags | scenario_tuntap(&ch->sc), len);
	if (!ch->refused)
		ch->len = len;
	ch->kept = 0;
}

static void running(struct change *ch, bool on)
{
	probe_must_run(ch->bench.dev, on, ch->sc.stall_ms);
}

/* The ring goes along, what is in the qdisc does not. */
static void move(struct change *ch)
{
	int other = netns_other();

	sender_close(&ch->sender);
	netdev_move(ch->bench.dev, other);
	netns_join(other);
	close(other);
	qdisc_replace(ch->bench.dev, ch->sc.qdisc);
	netdev_up(ch->bench.dev, true);
	running(ch, true);
}

/* Its frames go on where the other's stopped. */
static void new_sender(struct change *ch)
{
	u64 seq = ch->sender.frame.seq;

	ch->tried += sender_tried(&ch->sender);
	bench_sender(&ch->bench, &ch->sc, &ch->sender, false);
	ch->sender.frame.seq = seq;
}

/* Before the reader of the test, which may be of any other kind. */
static void read_all(struct change *ch, enum reader_kind kind)
{
	struct reader r;

	reader_open(&r, kind, ch->bench.fd[0], &ch->tally, ch->sc.stall_ms);
	reader_start(&r);
	ch->read_meanwhile = true;
	ch->came = reader_take(&r, ch->kept);
	reader_rest(&r);
	reader_close(&r);
}

/* While the link is down, or the carrier gone. */
static void read_meanwhile(struct change *ch)
{
	if (ch->action == ACT_LINK_READ || ch->action == ACT_CARRIER_READ)
		read_all(ch, READER_POLL);
	if (ch->action == ACT_LINK_VHOST || ch->action == ACT_CARRIER_VHOST)
		read_all(ch, READER_VHOST);
}

void change_act(struct change *ch)
{
	const char *dev = ch->bench.dev;

	switch (ch->action) {
	case ACT_GROW:
		change_resize(ch, 2 * ch->len);
		break;
	case ACT_SHRINK:
		change_resize(ch, (ch->len + 1) / 2);
		break;
	case ACT_ZERO:
		change_resize(ch, 0);
		break;
	case ACT_REOPEN:
		reopen(ch, 0, ch->len);
		break;
	case ACT_REOPEN_GROW:
		reopen(ch, 0, 2 * ch->len);
		break;
	case ACT_REOPEN_CARRIER:
		reopen(ch, IFF_NO_CARRIER, ch->len);
		running(ch, false);
		tuntap_carrier(ch->bench.fd[0], true);
		break;
	case ACT_LINK:
	case ACT_LINK_READ:
	case ACT_LINK_VHOST:
		netdev_up(dev, false);
		read_meanwhile(ch);
		netdev_up(dev, true);
		break;
	case ACT_CARRIER:
	case ACT_CARRIER_READ:
	case ACT_CARRIER_VHOST:
	case ACT_CARRIER_GROW:
		probe_carrier(ch->bench.fd[0], dev, false, ch->sc.stall_ms);
		read_meanwhile(ch);
		if (ch->action == ACT_CARRIER_GROW)
			change_resize(ch, 2 * ch->len);
		tuntap_carrier(ch->bench.fd[0], true);
		break;
	case ACT_TO_NOQUEUE:
		ch->sc.qdisc = "noqueue";
		qdisc_replace(dev, ch->sc.qdisc);
		break;
	case ACT_QDISC_REPLACE:
		ch->sc.qdisc = strcmp(ch->sc.qdisc, "fq_codel") ?
			       "fq_codel" : "pfifo_fast";
		qdisc_replace(dev, ch->sc.qdisc);
		break;
	case ACT_MOVE:
		move(ch);
		new_sender(ch);
		break;
	case ACT_DETACH_ATTACH:
	case ACT_DELETE:
		break;
	}
	running(ch, true);
}

/* No more at a time than the ring takes: stock, too, must deliver them all. */
bool change_fresh(struct change *ch)
{
	unsigned int i, want, got, room = ring_room(ch->len);

	for (i = 0; i < 3; i++) {
		want = sender_send_many(&ch->sender, room);
		got = reader_take(&ch->reader, want);
		if (want == room && got == want)
			continue;
		ktap_diag("stalled: %u of %u sent, %u came out, backlog %u, queue %s",
			  want, room, got, change_backlog(ch),
			  probe_name(probe_queue(&ch->bench, &ch->sc)));
		return false;
	}
	return true;
}

