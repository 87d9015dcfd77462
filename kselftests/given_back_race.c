// SPDX-License-Identifier: GPL-2.0-only
/*
 * vhost-net gives frames back while somebody else is at the ring. A trap makes
 * the time longer between the look at the ring and what follows from it.
 *
 *   reads  The ring is full of what comes back, and the queue is to be stopped;
 *          by then the ring may be empty, and its reader, which saw no stopped
 *          queue, has woken none.
 *   sends  There is room, and the queue is to run; by then the ring may be
 *          full, and who filled it has stopped the queue. If it runs, the next
 *          frame goes to the driver and has to go back.
 *   fills  The same with more frames than there is room for: whoever comes
 *          second to the last slot, what comes back or what is sent, must not
 *          take it from the other. Without a qdisc as much comes back as the
 *          ring holds: one of the two loses frames, and who sends never finds
 *          the queue stopped.
 *   link   Nothing is given back: the link of a device with a full ring goes down
 *          and comes up, which looks at the ring as well, and it is read.
 */
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "choice.h"
#include "drops.h"
#include "ktap.h"
#include "load.h"
#include "netdev.h"
#include "qdisc.h"
#include "scenario.h"
#include "stall.h"
#include "trap.h"
#include "vhost.h"

/* The longest pause between two looks of the other thread, in turns of rnd_pause(). */
#define PAUSE 600
/* A detach takes less, unless its CPU has other things to do. */
#define TOOK_MOST_NS 5000000U
/* Frames for which there is no room: a qdisc holds them, or they are dropped. */
#define EXTRA 2U

enum other { OTHER_READS, OTHER_SENDS, OTHER_FILLS, OTHER_LINK };

static const char * const others[] = { "reads", "sends", "fills", "link", NULL };

struct race {
	struct scenario sc;
	struct bench bench;
	struct sender sender;
	unsigned int rounds;
	unsigned int back;	/* what is given back */
	unsigned int burst;	/* what the other one sends */
	struct listener tap;
	struct tally seen;	/* by the packet tap, on the way to the driver */
	struct tally out;
	u64 got;
	u64 took_ns;		/* to give back, the last time */
	bool busy;		/* the other thread is at it */
	bool stop;
	int cpu;
};

static u64 dropped(void)
{
	return drops_count() ? drops_count_at("FULL_RING") : 0;
}

/* What is given back and finds no slot. */
static u64 destroyed(void)
{
	return drops_count() - dropped();
}

/* What no reader gets; without a qdisc also what was refused. */
static u64 gone(const struct race *rc)
{
	return qdisc_holds(rc->sc.qdisc) ? destroyed() : drops_count();
}

static bool read_one(struct race *rc)
{
	char buf[FRAME_MAX];
	ssize_t len = read(rc->bench.fd[0], buf, sizeof(buf));

	if (len < 0)
		return false;
	tally_frame(&rc->out, buf, (size_t)len);
	shared_add(rc->got, 1);
	return true;
}

static void *read_all(void *arg)
{
	struct race *rc = arg;
	u32 rnd = rnd_start(rc->sc.seed, 1);

	cpu_pin(rc->cpu);
	while (!shared_get(rc->stop)) {
		/* There from the first moment, then at any. */
		if (!shared_get(rc->busy))
			rnd_pause(&rnd, 1);
		else if (!read_one(rc))
			rnd_pause(&rnd, PAUSE);
	}
	return NULL;
}

static void *send_all(void *arg)
{
	struct race *rc = arg;
	u32 rnd = rnd_start(rc->sc.seed, 1);

	cpu_pin(rc->cpu);
	while (!shared_get(rc->stop)) {
		if (!shared_get(rc->busy)) {
			rnd_pause(&rnd, PAUSE);
			continue;
		}
		/* At any time while the frames are given back. */
		rnd_spin(&rnd, shared_get(rc->took_ns));
		sender_send_many(&rc->sender, rc->burst);
		shared_set(rc->busy, false);
	}
	return NULL;
}

/* vhost takes @n frames and gives them back, with the other thread at work. */
static void give_back(struct race *rc, struct vhost *v, struct trap *tr,
		      unsigned int n)
{
	u64 since;

	if (sender_send_many(&rc->sender, n) != n)
		ktap_bail("send: errno %d", rc->sender.error);
	vhost_attach(v, rc->bench.fd[0]);
	vhost_takes_all(rc->bench.fd[0], rc->sc.stall_ms);
	trap_set(tr, true);
	since = stall_now_ns();
	shared_set(rc->busy, true);
	vhost_detach(v);
	trap_set(tr, false);
	shared_set(rc->took_ns,
		   min_t(u64, stall_now_ns() - since, TOOK_MOST_NS));
}

/* The ring is full, and the other thread reads it while the link comes up. */
static void link_up(struct race *rc, struct trap *tr)
{
	if (sender_send_many(&rc->sender, rc->sc.len) != rc->sc.len)
		ktap_bail("send: errno %d", rc->sender.error);
	netdev_up(rc->bench.dev, false);
	trap_set(tr, true);
	shared_set(rc->busy, true);
	netdev_up(rc->bench.dev, true);
	trap_set(tr, false);
}

/* How many rounds went well; without vhost the link is set up. */
static unsigned int race_reader(struct race *rc, struct vhost *v,
				struct trap *tr)
{
	unsigned int i;
	u64 n = 0;

	for (i = 0; i < rc->rounds; i++) {
		if (v)
			give_back(rc, v, tr, rc->back);
		else
			link_up(rc, tr);
		n += rc->sc.len;
		if (!load_wait_for(&rc->got, n, rc->sc.stall_ms)) {
			ktap_diag("round %u: of %llu frames in the ring and read before, %llu came",
				  i, n, rc->got);
			break;
		}
		sender_send_many(&rc->sender, 1);
		if (!load_wait_for(&rc->got, ++n, rc->sc.stall_ms)) {
			ktap_diag("round %u: a fresh frame does not come: queue %s",
				  i, bench_stopped(&rc->bench, &rc->sc) ?
				  "stopped" : "running");
			break;
		}
		shared_set(rc->busy, false);
	}
	return i;
}

static unsigned int race_sender(struct race *rc, struct vhost *v,
				struct trap *tr)
{
	unsigned int i, more = qdisc_holds(rc->sc.qdisc) ? EXTRA : 0;
	struct stall st;
	u64 since, n = 0;

	for (i = 0; i < rc->rounds; i++) {
		give_back(rc, v, tr, rc->back);
		since = stall_now_ns();
		while (shared_get(rc->busy))
			load_wait(since);
		sender_send_many(&rc->sender, more);
		n += rc->back + rc->burst + more;
		stall_start(&st, rc->sc.stall_ms);
		while (rc->got + drops_count() < n && !stall_over(&st))
			if (read_one(rc))
				stall_note(&st, rc->got);
		if (rc->got + gone(rc) < n) {
			ktap_diag("round %u: %llu of %llu came, %llu are gone",
				  i, rc->got, n, gone(rc));
			break;
		}
	}
	return i;
}

int main(int argc, char **argv)
{
	struct race rc = { .rounds = 150 };
	const struct scenario_option extra[] = {
		{ "rounds", &rc.rounds, "of giving back (150)" },
	};
	enum other other = (enum other)choice_take(&argc, argv, "other", others,
						   OTHER_READS);
	int cpu[CPU_SETSIZE];
	pthread_t thread;
	unsigned int done, n;
	struct vhost *v;
	struct trap tr;
	bool reads, drops;
	u64 slots, traps, lost;

	scenario_defaults(&rc.sc);
	rc.sc.len = 2;
	scenario_options(&rc.sc, argc, argv, extra, ARRAY_SIZE(extra));
	scenario_need_one_queue(&rc.sc);
	if (!scenario_owns_queue(&rc.sc) || !rc.sc.len || rc.sc.len > TRAP_SLOTS)
		ktap_bail("given_back_race takes tun or tap, a length of 1 to %d",
			  TRAP_SLOTS);
	reads = other == OTHER_READS || other == OTHER_LINK;
	/* pfifo_fast is no longer than the ring, and more than that has to wait. */
	if (strcmp(rc.sc.qdisc, "fq_codel") && (reads || qdisc_holds(rc.sc.qdisc)))
		ktap_bail("fq_codel, or noqueue for sends and fills");
	if (other == OTHER_SENDS && rc.sc.len < 2)
		ktap_bail("one frame must leave room");
	drops = other == OTHER_FILLS && !qdisc_holds(rc.sc.qdisc);
	rc.back = reads || drops ? rc.sc.len : 1;
	/* With what is given back these fill the ring, or are too many. */
	rc.burst = rc.sc.len - rc.back;
	if (other == OTHER_FILLS)
		rc.burst += drops ? EXTRA : 1;
	rc.sc.own_protocol = true;
	ktap_plan(6);
	netns_enter();
	bench_open(&rc.bench, &rc.sc, "race0");
	slots = trap_find(rc.bench.dev, rc.sc.len, 0);
	bench_count_freed(&rc.sc);
	bench_sender(&rc.bench, &rc.sc, &rc.sender, false);
	tally_start(&rc.out, scenario_ether(&rc.sc), rc.bench.cookie);
	tally_start(&rc.seen, scenario_ether(&rc.sc), rc.bench.cookie);
	/* A packet tap does not outlive a link that goes down. */
	if (other != OTHER_LINK)
		listener_open(&rc.tap, rc.bench.dev, scenario_ether(&rc.sc));
	tuntap_nonblock(rc.bench.fd[0]);
	n = cpus_allowed(cpu, CPU_SETSIZE);
	rc.cpu = cpu[n - 1];
	if (pthread_create(&thread, NULL, reads ? read_all : send_all, &rc))
		ktap_bail("no thread");
	/* The other and who gives back each have a CPU, if there are two. */
	cpu_pin(cpu[0]);
	v = vhost_open();
	trap_open(&tr, slots, rc.sc.len);
	done = reads ? race_reader(&rc, other == OTHER_LINK ? NULL : v, &tr) :
		       race_sender(&rc, v, &tr);
	traps = trap_close(&tr);
	shared_set(rc.stop, true);
	pthread_join(thread, NULL);
	if (other != OTHER_LINK) {
		listener_collect(&rc.tap, &rc.seen);
		listener_close(&rc.tap);
	}
	vhost_close(v);
	ktap_figure("traps", (long long)traps, NULL);
	ktap_ok(done == rc.rounds, "the queue runs after each round: %u of %u", done,
		rc.rounds);
	if (other == OTHER_LINK)
		ktap_skip("stock does not look at it then",
			  "who sets the link up is held up at the ring");
	else
		ktap_ok(traps >= done, "who gives back is held up at the ring: %llu times",
			traps);
	lost = destroyed();
	ktap_ok((!lost || other == OTHER_FILLS) && rc.out.missing == lost &&
		!rc.out.repeated && !rc.out.foreign,
		"each frame once, in order: %llu missing, %llu repeated, %llu destroyed",
		rc.out.missing, rc.out.repeated, lost);
	if (other == OTHER_LINK)
		ktap_skip("nobody looked", "none goes to the driver twice");
	else if (other == OTHER_FILLS)
		ktap_skip("who is in there when the ring fills up comes again",
			  "none goes to the driver twice");
	else
		ktap_ok(!rc.seen.repeated, "none goes to the driver twice: %llu",
			rc.seen.repeated);
	if (drops)
		ktap_skip("without a qdisc the rest is dropped",
			  "none is dropped for a full ring");
	else
		ktap_ok(!dropped(), "none is dropped for a full ring: %llu",
			dropped());
	if (qdisc_holds(rc.sc.qdisc))
		ktap_skip("a qdisc waits for the queue", "no stopped queue is found");
	else
		ktap_ok(!rc.sender.count[SEND_NETDOWN],
			"no stopped queue is found: %llu times",
			rc.sender.count[SEND_NETDOWN]);
	sender_close(&rc.sender);
	bench_close(&rc.bench);
	drops_stop();
	return ktap_status();
}
