// SPDX-License-Identifier: GPL-2.0-only
/*
 * A sender with little room in its socket, and a reader that does not read.
 * Where frames wait in a qdisc, they count against the socket: the sender is
 * blocked, until the reader comes, or a signal, or the device goes. On stock
 * the driver drops what the ring cannot hold, and nobody is ever blocked. So it
 * is under noqueue, on any kernel.
 */
#include <errno.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "choice.h"
#include "drops.h"
#include "feeder.h"
#include "ktap.h"
#include "netdev.h"
#include "pktgen.h"
#include "qdisc.h"
#include "ring.h"
#include "scenario.h"
#include "stall.h"
#include "task.h"

/* More than fits: the least socket buffer takes some six small frames. */
#define EXTRA 40
#define ALARM_USEC 50000
/* On stock it is torn down in a tenth of that. */
#define LINGER_MS 200

static const char * const kernels[] = { "stock", "patched", NULL };

enum how {
	HOW_WAKE, HOW_POLL, HOW_DONTWAIT, HOW_ALARM, HOW_SIGNAL, HOW_KILL,
	HOW_DELETE, HOW_NETNS,
};

static const char * const hows[] = {
	"wake", "poll", "dontwait", "alarm", "signal", "kill", "delete", "netns",
	NULL,
};

struct blocked {
	struct scenario sc;
	struct bench bench;
	struct feeder feeder;
	struct reader reader;
	struct tally tally;
	enum how how;
	bool holds;	/* the kernel under test is to hold, not to drop */
	u64 n;
};

/* Until it sleeps for want of buffer, or on stock is through with all. */
static void block(struct blocked *bl, enum feeder_mode mode)
{
	struct feeder *f = &bl->feeder;
	bool blocks, good;
	u64 drops, sent, told;

	/* One whose device goes is refused some, and then told: let it get there. */
	feeder_start(f, bl->holds && bl->how == HOW_DELETE ? ~0ULL : bl->n, mode);
	blocks = feeder_blocks(f, bl->sc.stall_ms);
	drops = drops_count();
	sent = f->st->sent;
	/* UDP tells only who asked for it (IP_RECVERR). */
	told = qdisc_holds(bl->sc.qdisc) || f->via == VIA_UDP ? 0 : drops;
	if (bl->holds)
		good = ktap_ok(blocks && !drops && sent > bl->sc.len &&
			       !feeder_writable(f), "a stuck reader blocks the sender");
	else
		good = ktap_ok(!blocks && drops == bl->n - bl->sc.len &&
			       sent == bl->n - told && f->st->refused == told &&
			       feeder_writable(f),
			       "the driver drops, the sender goes on");
	if (!good)
		ktap_diag("%s after %llu of %llu, %llu driver drops, %llu refused, error %d",
			  blocks ? "blocked" : "ended",
			  (unsigned long long)sent, (unsigned long long)bl->n,
			  (unsigned long long)drops,
			  (unsigned long long)f->st->refused, f->st->error);
	ktap_figure("sent_until_then", (long long)sent, "frames");
}

static void open_reader(struct blocked *bl)
{
	reader_open(&bl->reader, bl->sc.reader, bl->bench.fd[0], &bl->tally,
		    bl->sc.stall_ms);
	reader_start(&bl->reader);
}

/* All of @n frames that were not dropped, and no more than those. */
static void drain(struct blocked *bl, u64 n)
{
	u64 want = bl->holds ? n : min_t(u64, n, bl->sc.len);

	open_reader(bl);
	reader_take(&bl->reader, (unsigned int)want);
	if (!ktap_ok(tally_exact(&bl->tally, want) && (!bl->holds || !drops_count()),
		     "all that was not dropped comes out once, in order"))
		ktap_diag("%llu of %llu frames, %llu missing, %llu repeated, %llu driver drops",
			  (unsigned long long)bl->tally.frames,
			  (unsigned long long)want,
			  (unsigned long long)bl->tally.missing,
			  (unsigned long long)bl->tally.repeated,
			  (unsigned long long)drops_count());
}

static void check_fresh(struct blocked *bl)
{
	unsigned int i, want = 0, got = 0, room = ring_room(bl->sc.len);
	struct sender s;

	bench_sender(&bl->bench, &bl->sc, &s, false);
	s.frame.seq = bl->tally.next;
	for (i = 0; i < 3 && got == want; i++) {
		want = sender_send_many(&s, room);
		got = reader_take(&bl->reader, room);
	}
	if (!ktap_ok(want == room && got == want, "fresh frames flow"))
		ktap_diag("stalled: %u of %u sent, %u came out", want, room, got);
	sender_close(&s);
}

/* Ended without anybody's help on stock; here in time, and as it should. */
static void ends(struct blocked *bl, int error, const char *what)
{
	struct feeder *f = &bl->feeder;
	bool ended = feeder_ends(f, bl->sc.stall_ms);

	if (!ktap_ok(ended && f->st->error == (bl->holds ? error : 0), "%s", what))
		ktap_diag("%s, error %d, %llu sent", ended ? "ended" : "still there",
			  f->st->error, (unsigned long long)f->st->sent);
}

static void run_wake(struct blocked *bl)
{
	struct feeder *f = &bl->feeder;

	block(bl, bl->how == HOW_POLL ? FEED_POLL : FEED_BLOCK);
	drain(bl, bl->n);
	ends(bl, 0, "the sender gets through with it");
	if (bl->how == HOW_POLL)
		ktap_ok(!!f->st->again == bl->holds && feeder_writable(f),
			"it had to wait for POLLOUT, which is there again");
	check_fresh(bl);
}

static void run_signal(struct blocked *bl)
{
	struct feeder *f = &bl->feeder;
	bool kills = bl->how == HOW_KILL;
	u64 sent;

	block(bl, FEED_BLOCK);
	sent = f->st->sent;
	if (kills)
		feeder_let_go(f);
	feeder_signal(f, kills ? SIGKILL : SIGUSR1);
	ends(bl, kills ? 0 : EINTR, kills ? "killed, the sender is gone at once" :
	     "a signal interrupts the sender");
	drain(bl, sent);
	check_fresh(bl);
}

/*
 * The error of the first send after the one that was blocked. EINVAL is the
 * route's, for a source address that went with the device.
 */
static bool gone(int error)
{
	return error == ENXIO || error == ENODEV || error == ENETDOWN ||
	       error == ENETUNREACH || error == EINVAL;
}

static void run_delete(struct blocked *bl)
{
	struct feeder *f = &bl->feeder;
	u64 since, ms;
	bool ended;
	char buf[8];

	block(bl, FEED_BLOCK);
	since = stall_now_ns();
	netdev_delete(bl->bench.dev);
	ms = (stall_now_ns() - since) / NSEC_PER_MSEC;
	ended = feeder_ends(f, bl->sc.stall_ms);
	if (!ktap_ok(ms < bl->sc.stall_ms && ended &&
		     (bl->holds ? gone(f->st->error) : !f->st->error),
		     "the device goes, and the sender is told"))
		ktap_diag("%llu ms, %s, error %d", (unsigned long long)ms,
			  ended ? "ended" : "still there", f->st->error);
	ktap_ok(read(bl->bench.fd[0], buf, sizeof(buf)) < 0 && errno == EBADFD,
		"a read of its file fails with EBADFD");
	feeder_let_go(f);
	bench_close(&bl->bench);

	bench_open(&bl->bench, &bl->sc, "blocked1");
	tally_start(&bl->tally, scenario_ether(&bl->sc), bl->bench.cookie);
	open_reader(bl);
	check_fresh(bl);
}

/*
 * The netns goes with its last user: its devices are deleted, ours too. It may
 * have to wait for others: of each one pktgen's threads are ended in turn, which
 * takes them up to a tenth of a second.
 */
static bool netns_goes(const struct blocked *bl, unsigned int ms)
{
	struct pktgen_tasks left;
	struct ifreq ifr = {};
	struct stall st;

	stall_start(&st, ms);
	while (!ioctl(bl->bench.fd[0], TUNGETIFF, &ifr)) {
		pktgen_others(&left);
		stall_note(&st, left.n);
		if (stall_over(&st))
			return false;
		stall_nap(2 * NSEC_PER_MSEC);
	}
	return errno == EBADFD;
}

/*
 * The device is in a netns of the sender's, and its file is not. The frames
 * that wait hold the dead sender's socket, and that holds its netns, until
 * they are read.
 */
static void run_netns(struct blocked *bl)
{
	struct feeder *f = &bl->feeder;
	u64 sent;

	block(bl, FEED_BLOCK);
	sent = f->st->sent;
	feeder_let_go(f);
	feeder_signal(f, SIGKILL);
	ends(bl, 0, "killed, the sender is gone at once");
	if (bl->holds) {
		ktap_ok(!netns_goes(bl, LINGER_MS), "its netns is held");
		drain(bl, sent);
	} else {
		ktap_skip("nothing waits", "its netns is held");
		ktap_skip("nothing waits", "what waits comes out");
	}
	ktap_ok(netns_goes(bl, bl->sc.stall_ms), "its netns is torn down");
}

/* It waits until its next alarm, or not at all. */
static int send_alone(struct blocked *bl)
{
	const struct itimerval every = {
		.it_interval.tv_usec = ALARM_USEC,
		.it_value.tv_usec = ALARM_USEC,
	}, never = {};
	int err;

	if (bl->how != HOW_ALARM)
		return feeder_send(&bl->feeder, MSG_DONTWAIT);
	setitimer(ITIMER_REAL, &every, NULL);
	err = feeder_send(&bl->feeder, 0);
	setitimer(ITIMER_REAL, &never, NULL);
	return err;
}

/* One thread that sends to, and reads from, its own device. */
static void run_alone(struct blocked *bl)
{
	bool waits = bl->how == HOW_ALARM;
	int err = 0, want = waits ? EINTR : EAGAIN;
	struct feeder *f = &bl->feeder;
	u64 sent, i;

	for (i = 0; i < bl->n && !err; i++)
		err = send_alone(bl);
	sent = f->st->sent;
	ktap_figure("sent_until_then", (long long)sent, "frames");
	if (bl->holds)
		ktap_ok(err == want && sent > bl->sc.len && !feeder_writable(f),
			"the thread is %s", waits ? "blocked until its alarm" :
			"told to come again");
	else
		ktap_ok(!err && sent == bl->n, "the thread goes on");
	if (bl->holds)
		ktap_ok(send_alone(bl) == want, "and so is the next send");
	else
		ktap_skip("stock goes on", "and so is the next send");
	drain(bl, sent);
	ktap_ok(feeder_writable(f) && !feeder_send(f, 0) &&
		reader_take(&bl->reader, 1) == 1, "then it can send again");
	check_fresh(bl);
}

/* The device in a netns of its own, with nobody in there. */
static int move_away(struct blocked *bl)
{
	int other = netns_other();
	int home = netns_self();

	netdev_move(bl->bench.dev, other);
	netns_join(other);
	close(other);
	qdisc_replace(bl->bench.dev, bl->sc.qdisc);
	netdev_up(bl->bench.dev, true);
	return home;
}

static void go_home(int home)
{
	netns_join(home);
	close(home);
}

static void run(struct blocked *bl)
{
	switch (bl->how) {
	case HOW_WAKE:
	case HOW_POLL:
		run_wake(bl);
		break;
	case HOW_DONTWAIT:
	case HOW_ALARM:
		run_alone(bl);
		break;
	case HOW_SIGNAL:
	case HOW_KILL:
		run_signal(bl);
		break;
	case HOW_DELETE:
		run_delete(bl);
		break;
	case HOW_NETNS:
		run_netns(bl);
		break;
	}
}

int main(int argc, char **argv)
{
	static const unsigned int tests[] = {
		[HOW_WAKE] = 4, [HOW_POLL] = 5, [HOW_DONTWAIT] = 5,
		[HOW_ALARM] = 5, [HOW_SIGNAL] = 4, [HOW_KILL] = 4,
		[HOW_DELETE] = 4, [HOW_NETNS] = 5,
	};
	struct blocked bl = {
		.how = (enum how)choice_take(&argc, argv, "how", hows, HOW_WAKE),
		.holds = choice_take(&argc, argv, "expect", kernels, 1),
	};
	enum feeder_via via = (enum feeder_via)
		choice_take(&argc, argv, "via", feeder_vias, VIA_PACKET);
	int home = -1;

	scenario_parse(&bl.sc, argc, argv, NULL, 0);
	if (!scenario_owns_queue(&bl.sc) || !bl.sc.len)
		ktap_bail("blocked_sender takes tun or tap, a length above 0");
	if (!qdisc_holds(bl.sc.qdisc)) {
		if (bl.how != HOW_WAKE && bl.how != HOW_POLL)
			ktap_bail("noqueue: wake or poll");
		bl.holds = false;
	}
	ktap_plan(tests[bl.how]);
	netns_enter();
	bench_open(&bl.bench, &bl.sc, "blocked0");
	tally_start(&bl.tally, scenario_ether(&bl.sc), bl.bench.cookie);
	if (bl.how == HOW_NETNS)
		home = move_away(&bl);
	feeder_open(&bl.feeder, &bl.bench, &bl.sc, via);
	if (home >= 0)
		go_home(home);
	task_interrupt_by(SIGALRM);
	drops_start("FULL_RING");
	bl.n = bl.sc.len + EXTRA;
	run(&bl);
	drops_stop();
	reader_close(&bl.reader);
	feeder_close(&bl.feeder);
	bench_close(&bl.bench);
	return ktap_status();
}
