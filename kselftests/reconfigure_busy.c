// SPDX-License-Identifier: GPL-2.0-only
/*
 * The device is changed while one thread sleeps in read() on an empty queue,
 * and a process sleeps in send(), since what it sent waits for another queue
 * that is full. Afterwards both go on, or are told that the device is gone.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
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
#include "stall.h"

#define PORTS FLOWS_MAX
#define TICK_NS (NSEC_PER_MSEC / 2)

enum doing {
	DO_GROW, DO_SHRINK, DO_ZERO, DO_LINK, DO_CARRIER, DO_QDISC, DO_MOVE,
	DO_DETACH_FULL, DO_DETACH_READ, DO_DETACH_DARK, DO_REOPEN_FULL,
	DO_REOPEN_KEPT, DO_REOPEN_DARK, DO_DELETE,
};

static const char * const doings[] = {
	"grow", "shrink", "zero", "link", "carrier", "qdisc_replace", "move",
	"detach_full", "detach_read", "detach_dark", "reopen_full",
	"reopen_kept", "reopen_dark", "delete", NULL,
};

struct busy {
	struct change ch;
	enum doing doing;
	unsigned int full;	/* the one of the two queues; the other is read */
	bool stuck;
	struct drain drain;
	struct flows out;	/* what the thread reads */
};

static int *full_fd(struct busy *bu)
{
	return &bu->ch.bench.fd[bu->full];
}

static int *read_fd(struct busy *bu)
{
	return &bu->ch.bench.fd[!bu->full];
}

/* Which queue a frame of this port comes out of; nothing else is on its way. */
static unsigned int queue_of(struct busy *bu, u16 port)
{
	struct bench *b = &bu->ch.bench;
	struct pollfd pfd[2] = {
		{ .fd = b->fd[0], .events = POLLIN },
		{ .fd = b->fd[1], .events = POLLIN },
	};
	char buf[FRAME_MAX];
	unsigned int i;

	bu->ch.sender.frame.port = port;
	if (sender_send(&bu->ch.sender) != SEND_OK ||
	    poll(pfd, 2, (int)bu->ch.sc.stall_ms) != 1)
		ktap_bail("a frame does not reach a queue to begin with");
	i = pfd[0].revents ? 0 : 1;
	if (read(b->fd[i], buf, sizeof(buf)) < 0)
		ktap_bail("read: %s", strerror(errno));
	bu->ch.tally.foreign++;
	return i;
}

static u16 port_of(struct busy *bu, unsigned int queue)
{
	u16 port;

	for (port = FLOWS_PORT; port < FLOWS_PORT + PORTS; port++)
		if (queue_of(bu, port) == queue)
			return port;
	ktap_bail("no port leads to queue %u", queue);
}

static u64 read_by_thread(const struct busy *bu)
{
	return shared_get(bu->out.frames) + shared_get(bu->out.stray);
}

/* Not much later it sleeps, since there is nothing more. */
static void start_reader(struct busy *bu, u16 port)
{
	int cpu[CPU_SETSIZE];
	unsigned int n = cpus_allowed(cpu, CPU_SETSIZE);
	struct stall st;

	flows_start(&bu->out, PORTS, scenario_ether(&bu->ch.sc),
		    bu->ch.bench.cookie);
	bu->drain = (struct drain) {
		.kind = READER_READ,
		.fd = *read_fd(bu),
		.cpu = cpu[n - 1],
		.len = bu->ch.sc.len,
		.calm = true,
		.out = &bu->out,
	};
	drain_start(&bu->drain);
	bu->ch.sender.frame.port = port;
	sender_send(&bu->ch.sender);
	stall_start(&st, bu->ch.sc.stall_ms);
	while (!read_by_thread(bu) && !stall_over(&st))
		stall_nap(TICK_NS);
	if (!read_by_thread(bu))
		ktap_bail("the reader does not read to begin with");
}

/*
 * What was sent to the full queue goes to the thread's now, and nobody else
 * reads: it must, before anything else happens.
 */
static void without_full(struct busy *bu)
{
	if (!feeder_ends(&bu->ch.feeder, bu->ch.sc.stall_ms))
		bu->stuck = true;
}

static void open_full(struct busy *bu)
{
	*full_fd(bu) = tuntap_open(bu->ch.bench.dev, tuntap_flags(*read_fd(bu)));
}

/* @kept: of a device that would outlive its last file. */
static void reopen(struct busy *bu, bool kept)
{
	tuntap_persist(*read_fd(bu), kept);
	close(*full_fd(bu));
	without_full(bu);
	open_full(bu);
	tuntap_persist(*read_fd(bu), false);
}

static void carrier(struct busy *bu, bool on)
{
	probe_carrier(*read_fd(bu), bu->ch.bench.dev, on, bu->ch.sc.stall_ms);
}

/*
 * Without a carrier: the queue that the thread's file has then was stopped for
 * another one's ring.
 */
static void dark(struct busy *bu)
{
	struct change *ch = &bu->ch;
	u64 before;

	carrier(bu, false);
	if (bu->doing == DO_DETACH_DARK)
		tuntap_queue(*full_fd(bu), false);
	else
		close(*full_fd(bu));
	carrier(bu, true);
	without_full(bu);
	before = shared_get(bu->out.frames);
	sender_send(&ch->sender);
	if (!load_wait_for(&bu->out.frames, before + 1, ch->sc.stall_ms))
		bu->stuck = true;
	if (bu->doing == DO_DETACH_DARK)
		tuntap_queue(*full_fd(bu), true);
	else
		open_full(bu);
}

static void act(struct busy *bu)
{
	static const enum action actions[] = {
		[DO_GROW] = ACT_GROW, [DO_SHRINK] = ACT_SHRINK,
		[DO_LINK] = ACT_LINK, [DO_CARRIER] = ACT_CARRIER,
		[DO_QDISC] = ACT_QDISC_REPLACE, [DO_MOVE] = ACT_MOVE,
	};
	struct change *ch = &bu->ch;

	switch (bu->doing) {
	case DO_DETACH_FULL:
		tuntap_queue(*full_fd(bu), false);
		without_full(bu);
		tuntap_queue(*full_fd(bu), true);
		break;
	case DO_DETACH_READ:
		tuntap_queue(*read_fd(bu), false);
		tuntap_queue(*read_fd(bu), true);
		break;
	case DO_DETACH_DARK:
	case DO_REOPEN_DARK:
		dark(bu);
		break;
	case DO_REOPEN_FULL:
	case DO_REOPEN_KEPT:
		reopen(bu, bu->doing == DO_REOPEN_KEPT);
		break;
	case DO_ZERO:
		change_resize(ch, 0);
		change_settle(ch);
		change_resize(ch, ch->sc.len);
		break;
	default:
		ch->action = actions[bu->doing];
		change_act(ch);
		break;
	}
}

/* Until the thread has read whatever was left to it: false if it does not. */
static bool comes_to_rest(struct busy *bu)
{
	struct change *ch = &bu->ch;
	u64 left, by_thread;
	struct stall st;

	stall_start(&st, ch->sc.stall_ms);
	for (;;) {
		reader_rest(&ch->reader);
		by_thread = read_by_thread(bu);
		left = change_inside(ch);
		if (left <= by_thread)
			return true;
		stall_note(&st, left - by_thread);
		if (stall_over(&st))
			return false;
		stall_nap(TICK_NS);
	}
}

/* One frame of each port: out of one queue or the other. */
static bool fresh(struct busy *bu)
{
	struct change *ch = &bu->ch;
	u64 before, now;
	struct stall st;
	u16 i;

	for (i = 0; i < PORTS; i++) {
		before = read_by_thread(bu) + ch->tally.frames + ch->tally.foreign;
		now = before;
		ch->sender.frame.port = (u16)(FLOWS_PORT + i);
		if (sender_send(&ch->sender) != SEND_OK) {
			ktap_diag("port %u: %s", i, strerror(ch->sender.error));
			return false;
		}
		stall_start(&st, ch->sc.stall_ms);
		while (now == before && !stall_over(&st)) {
			if (!reader_rest(&ch->reader))
				stall_nap(TICK_NS);
			now = read_by_thread(bu) + ch->tally.frames +
			      ch->tally.foreign;
		}
		if (now == before) {
			ktap_diag("stalled: the frame of port %u stays inside, queue %s",
				  i, probe_name(change_probe(ch)));
			return false;
		}
	}
	return true;
}

static void goes_on(struct busy *bu)
{
	struct change *ch = &bu->ch;
	u64 by_thread;

	reader_open(&ch->reader, READER_POLL, *full_fd(bu), &ch->tally,
		    ch->sc.stall_ms);
	ktap_ok(change_release(ch) && !bu->stuck, "the sender goes on");
	/* Of what it sent, the thread's queue may have been given some. */
	if (!comes_to_rest(bu))
		ktap_diag("stalled: %llu frames inside",
			  change_inside(ch) - read_by_thread(bu));
	by_thread = read_by_thread(bu);
	ktap_ok(fresh(bu), "fresh frames flow");
	ktap_ok(read_by_thread(bu) > by_thread && !bu->drain.error,
		"the sleeping reader got some of them");
	drain_end(&bu->drain);
	ch->tally.foreign += read_by_thread(bu);
	ktap_ok(change_balances(ch),
		"what did not come out was freed, none without a trace");
	reader_close(&ch->reader);
}

static void deleted(struct busy *bu)
{
	struct change *ch = &bu->ch;
	u64 since = stall_now_ns(), ms;
	struct stall st;
	char buf[8];
	int err;

	netdev_delete(ch->bench.dev);
	ms = (stall_now_ns() - since) / NSEC_PER_MSEC;
	ktap_ok(ms < ch->sc.stall_ms, "the device goes, without waiting for anybody");
	/* A send that was under way may end well, the next cannot. */
	err = feeder_ends(&ch->feeder, ch->sc.stall_ms) ?
	      ch->feeder.st->error : -1;
	if (!ktap_ok(!err || err == ENXIO || err == ENETDOWN,
		     "the sender returns, with ENXIO or ENETDOWN if not done"))
		ktap_diag("error %d", err);
	stall_start(&st, ch->sc.stall_ms);
	while (!shared_get(bu->drain.ended) && !stall_over(&st))
		stall_nap(TICK_NS);
	/* In the ring's wait, or just before it. */
	if (!ktap_ok(shared_get(bu->drain.ended) && (bu->drain.error == EFAULT ||
						     bu->drain.error == EBADFD),
		     "the reader returns, with EFAULT or EBADFD"))
		ktap_diag("%s, error %d", bu->drain.ended ? "ended" : "still there",
			  bu->drain.error);
	drain_end(&bu->drain);
	ktap_ok(read(*full_fd(bu), buf, sizeof(buf)) < 0 && errno == EBADFD,
		"a read of the other queue fails with EBADFD");
}

int main(int argc, char **argv)
{
	struct busy bu = {
		.doing = (enum doing)choice_take(&argc, argv, "action", doings,
						 DO_GROW),
	};
	struct change *ch = &bu.ch;
	const struct scenario_option options[] = {
		{ "full", &bu.full, "the queue that is full, 0 or 1 (0)" },
	};
	u16 read_port;

	scenario_parse(&ch->sc, argc, argv, options, ARRAY_SIZE(options));
	if (!scenario_owns_queue(&ch->sc) || !ch->sc.len || bu.full > 1)
		ktap_bail("reconfigure_busy takes tun or tap, a length above 0, two queues");
	ktap_plan(4);
	ch->sc.queues = 2;
	ch->len = ch->sc.len;
	ch->state = STATE_STOPPED;
	netns_enter();
	bench_open(&ch->bench, &ch->sc, "busy0");
	bench_sender(&ch->bench, &ch->sc, &ch->sender, false);
	tally_start(&ch->tally, scenario_ether(&ch->sc), ch->bench.cookie);
	bench_count_freed(&ch->sc);
	read_port = port_of(&bu, !bu.full);
	ch->port = port_of(&bu, bu.full);
	start_reader(&bu, read_port);
	ch->sender.frame.port = ch->port;
	change_fill(ch);
	ktap_figure("sender_sleeps", !feeder_writable(&ch->feeder),
		    NULL);
	if (bu.doing == DO_DELETE) {
		deleted(&bu);
	} else {
		act(&bu);
		goes_on(&bu);
	}
	drops_stop();
	sender_close(&ch->sender);
	feeder_close(&ch->feeder);
	bench_close(&ch->bench);
	return ktap_status();
}
