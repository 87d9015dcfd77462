// SPDX-License-Identifier: GPL-2.0-only
/*
 * The ring is replaced while the reader of a full one looks at it.
 *
 * The reader frees a slot, finds the queue stopped, and looks whether there is
 * room. A change of txqueuelen frees the old array of slots at once, without
 * RCU: a look without one of the ring's locks is then at freed memory, which
 * KASAN tells. resize_race meets that moment by chance. Here each round has one
 * look and one change, and the look comes at any time of the change, mostly of
 * its beginning, where the array goes.
 */
#include <pthread.h>
#include <unistd.h>

#include "drops.h"
#include "ktap.h"
#include "load.h"
#include "netdev.h"
#include "qdisc.h"
#include "scenario.h"
#include "stall.h"

/* A change takes less, unless its CPU has other things to do. */
#define TOOK_MOST_NS 50000000U
/* The look is within the change's time, or its half, and so on down to 1/32. */
#define HALVES 6

struct look {
	struct scenario sc;
	struct bench bench;
	struct sender sender;
	unsigned int rounds;
	struct tally out;
	u64 got;
	u64 tried;
	u64 took_ns;		/* to replace the ring, the last time */
	bool due;		/* the reader has to read once */
	bool stop;
	int cpu;
};

static bool read_one(struct look *lk)
{
	char buf[FRAME_MAX];
	ssize_t len = read(lk->bench.fd[0], buf, sizeof(buf));

	if (len < 0)
		return false;
	tally_frame(&lk->out, buf, (size_t)len);
	lk->got++;
	return true;
}

static void *read_when_due(void *arg)
{
	struct look *lk = arg;
	u32 rnd = rnd_start(lk->sc.seed, 1);

	cpu_pin(lk->cpu);
	while (!shared_get(lk->stop)) {
		if (!shared_get(lk->due)) {
			rnd_pause(&rnd, 1);
			continue;
		}
		rnd_spin(&rnd, lk->took_ns >> rnd_below(&rnd, HALVES));
		read_one(lk);
		shared_set(lk->due, false);
	}
	return NULL;
}

/* Until all that was tried has come out or was freed; false: stalled. */
static bool drain_all(struct look *lk)
{
	struct stall st;

	stall_start(&st, lk->sc.stall_ms);
	while (lk->got + drops_count() < lk->tried) {
		if (read_one(lk))
			stall_note(&st, lk->got);
		else if (stall_over(&st))
			return false;
	}
	return true;
}

static void send_frames(struct look *lk, unsigned int n)
{
	if (sender_send_many(&lk->sender, n) != n)
		ktap_bail("send: errno %d", lk->sender.error);
	lk->tried += n;
}

/* How many rounds went well: the ring of a length is replaced by one of the next. */
static unsigned int look_all(struct look *lk)
{
	unsigned int i, longer;
	u64 since;

	for (i = 0; i < lk->rounds; i++) {
		longer = i & 1;
		send_frames(lk, lk->sc.len + longer);
		since = stall_now_ns();
		shared_set(lk->due, true);
		netdev_txqueuelen(lk->bench.dev, lk->sc.len + !longer);
		/* The reader takes it as given once it is due again. */
		while (shared_get(lk->due))
			load_wait(since);
		lk->took_ns = min_t(u64, stall_now_ns() - since, TOOK_MOST_NS);
		if (!drain_all(lk))
			break;
		/* Whatever state the queue was left in. */
		send_frames(lk, 1);
		if (!drain_all(lk))
			break;
	}
	if (i < lk->rounds)
		ktap_diag("round %u: of %llu frames %llu came out and %llu were freed",
			  i, lk->tried, lk->got, drops_count());
	return i;
}

int main(int argc, char **argv)
{
	struct look lk = { .rounds = 100 };
	const struct scenario_option extra[] = {
		{ "rounds", &lk.rounds, "of one look and one change (100)" },
	};
	int cpu[CPU_SETSIZE];
	unsigned int done, n;
	pthread_t reader;

	scenario_defaults(&lk.sc);
	lk.sc.len = 1;
	scenario_options(&lk.sc, argc, argv, extra, ARRAY_SIZE(extra));
	scenario_need_one_queue(&lk.sc);
	if (!scenario_owns_queue(&lk.sc) || !lk.sc.len || !qdisc_holds(lk.sc.qdisc))
		ktap_bail("resize_look takes tun or tap, a qdisc and a length above 0");
	ktap_plan(3);
	lk.sc.own_protocol = true;
	netns_enter();
	bench_open(&lk.bench, &lk.sc, "look0");
	bench_count_freed(&lk.sc);
	bench_sender(&lk.bench, &lk.sc, &lk.sender, false);
	tally_start(&lk.out, scenario_ether(&lk.sc), lk.bench.cookie);
	tuntap_nonblock(lk.bench.fd[0]);
	n = cpus_allowed(cpu, CPU_SETSIZE);
	lk.cpu = cpu[n - 1];
	if (pthread_create(&reader, NULL, read_when_due, &lk))
		ktap_bail("no thread");
	/* The look and the change each have a CPU, if there are two. */
	cpu_pin(cpu[0]);
	done = look_all(&lk);
	shared_set(lk.stop, true);
	pthread_join(reader, NULL);
	ktap_ok(done == lk.rounds, "the queue runs after each round: %u of %u", done,
		lk.rounds);
	ktap_ok(!lk.out.repeated && !lk.out.foreign, "each frame once, in order: %llu repeated",
		lk.out.repeated);
	ktap_ok(lk.got + drops_count() == lk.tried, "tried is delivered and freed");
	sender_close(&lk.sender);
	bench_close(&lk.bench);
	drops_stop();
	return ktap_status();
}
