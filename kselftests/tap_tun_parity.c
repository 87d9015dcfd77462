// SPDX-License-Identifier: GPL-2.0-only
/*
 * tun and tap share one driver: the same traffic must leave the same ledger.
 *
 * With --dev macvtap (or ipvtap) the program emits the ledger of that device
 * only, for two kernels to be compared: its ring is filled by the lower
 * device's receive path, belongs to no tx queue, and drops when it is full.
 * There, --queues N opens N files, more than the device has tx queues.
 */
#include <stdio.h>
#include <string.h>

#include "drops.h"
#include "ktap.h"
#include "ledger.h"
#include "netdev.h"
#include "ring.h"
#include "run.h"

/* Beyond the ring: covers the slots that a lap frees at first. */
#define BEYOND 40

struct side {
	struct run run;
	struct ledger filled;
	struct ledger drained;
	u64 wake_point;
	u64 kept;
	u64 late;		/* the backlog did not fall when it could */
	u64 reader_trouble;
};

/* What the two sides must have in common besides the ledger. */
struct side_field {
	const char *name;
	size_t offset;
};

static const struct side_field side_fields[] = {
	{ "filled_sent", offsetof(struct side, filled.sent) },
	{ "filled_enobufs", offsetof(struct side, filled.enobufs) },
	{ "filled_drops", offsetof(struct side, filled.driver_drops) },
	{ "backlog", offsetof(struct side, filled.held) },
	{ "wake_point", offsetof(struct side, wake_point) },
	{ "late", offsetof(struct side, late) },
	{ "kept", offsetof(struct side, kept) },
	{ "reader_trouble", offsetof(struct side, reader_trouble) },
};

static u64 side_value(const struct side *side, unsigned int i)
{
	return *(const u64 *)((const char *)side + side_fields[i].offset);
}

/*
 * Without a backlog, a fresh frame after each consume tells when there is room
 * again. @limit: a full lap.
 */
static void find_room(struct side *side, unsigned int limit)
{
	unsigned int k;

	for (k = 1; k <= limit && !side->wake_point; k++) {
		if (reader_take(&side->run.r, 1) != 1) {
			side->reader_trouble++;
			return;
		}
		if (run_try(&side->run))
			side->wake_point = k;
	}
	/* An empty store of vhost is filled at once: see how many fit. */
	if (side->run.sc.reader == READER_VHOST)
		return;
	for (side->kept = side->wake_point ? 1 : 0; run_try(&side->run);)
		side->kept++;
}

/* How many frames must be consumed for the backlog to fall, and to what. */
static void find_wake(struct side *side, unsigned int limit)
{
	u64 start = side->filled.held;
	unsigned int k, len = side->run.sc.len;
	u64 target, backlog = start;

	for (k = 1; start && k <= limit && !side->wake_point; k++) {
		if (reader_take(&side->run.r, 1) != 1) {
			side->reader_trouble++;
			return;
		}
		/* Having waited in vain once is enough: then just look. */
		target = start - min(start, ring_freed(len, k));
		backlog = target < start && !side->late ?
			  run_backlog_falls(&side->run, target) :
			  run_backlog(&side->run);
		side->late |= backlog > target;
		if (backlog < start)
			side->wake_point = k;
	}
	side->kept = start - run_backlog(&side->run);
}

/* vhost takes its first batch as it attaches, without any buffers. */
static void find_batch(struct side *side)
{
	u64 start = side->filled.held;
	unsigned int len = side->run.sc.len;
	u64 freed = ring_freed(len, min_t(unsigned int, len, VHOST_BATCH));

	if (start)
		run_backlog_falls(&side->run, start - min(start, freed));
	side->kept = start - run_backlog(&side->run);
}

static void side_run(struct side *side, const char *name)
{
	struct run *run = &side->run;

	run_open(run, name);
	run_send(run, run->sc.len + BEYOND);
	run_ledger(run, &side->filled);
	reader_start(&run->r);
	if (!run_has_backlog(run))
		find_room(side, run->sc.len);
	else if (run->sc.reader == READER_VHOST)
		find_batch(side);
	else
		find_wake(side, run->sc.len);
	if (!run_drain(run))
		side->reader_trouble++;
	run_ledger(run, &side->drained);
	run_close(run);
}

static void compare_ledgers(const struct ledger *tun, const struct ledger *tap)
{
	unsigned int i;

	for (i = 0; i < ledger_n_fields; i++) {
		u64 a = ledger_value(tun, i), b = ledger_value(tap, i);

		ktap_ok(a == b, "%s: tun %llu, tap %llu",
			ledger_fields[i].name, a, b);
	}
}

static void side_figures(const struct side *side)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(side_fields); i++)
		ktap_figure(side_fields[i].name,
			    (long long)side_value(side, i), NULL);
	ledger_figures(&side->drained);
}

static void test_parity(const struct scenario *sc)
{
	struct side tun = { .run.sc = *sc }, tap = { .run.sc = *sc };
	unsigned int i;

	ktap_plan(ARRAY_SIZE(side_fields) + ledger_n_fields + 2);
	tun.run.sc.dev = DEV_TUN;
	tap.run.sc.dev = DEV_TAP;
	side_run(&tun, "kst0");
	side_run(&tap, "kst1");
	for (i = 0; i < ARRAY_SIZE(side_fields); i++) {
		u64 a = side_value(&tun, i), b = side_value(&tap, i);

		ktap_ok(a == b, "%s: tun %llu, tap %llu", side_fields[i].name,
			a, b);
	}
	compare_ledgers(&tun.drained, &tap.drained);
	ktap_ok(!tun.reader_trouble && !tap.reader_trouble,
		"both readers get all that waits%s",
		tun.reader_trouble || tap.reader_trouble ? ": stalled" : "");
	ktap_ok(!ledger_in_ring(&tun.drained) && !ledger_in_ring(&tap.drained),
		"conservation: tun %lld, tap %lld unaccounted",
		ledger_in_ring(&tun.drained), ledger_in_ring(&tap.drained));
	side_figures(&tap);
}

static void test_alone(const struct scenario *sc)
{
	struct side side = { .run.sc = *sc };
	const struct ledger *l = &side.drained;

	ktap_plan(4);
	side_run(&side, "kst0");
	ktap_ok(side.filled.driver_drops == BEYOND,
		"the ring of %u keeps what it can, %llu dropped", sc->len,
		side.filled.driver_drops);
	ktap_ok(l->rx_dropped == l->driver_drops,
		"the device counts its drops: %llu of %llu", l->rx_dropped,
		l->driver_drops);
	ktap_ok(!l->repeated && !l->foreign && !side.reader_trouble,
		"all in order: %llu delivered, %llu repeated, %llu foreign",
		l->delivered, l->repeated, l->foreign);
	ktap_ok(ledger_balances(l), "conservation: %lld unaccounted",
		ledger_in_ring(l));
	side_figures(&side);
}

static void test_many_files(const struct scenario *sc)
{
	struct run x = { .sc = *sc };
	unsigned int i, good = 0;
	struct ledger l;

	ktap_plan(3);
	run_open(&x, "kst0");
	ktap_ok(run_fill_files(&x), "all %u rings are full", x.b.n_fds);
	for (i = 0; i < x.b.n_fds; i++)
		good += run_read_file(&x, i);
	ktap_ok(good == x.b.n_fds, "%u of %u rings come out whole", good,
		x.b.n_fds);
	run_ledger(&x, &l);
	ktap_ok(ledger_balances(&l), "conservation: %lld unaccounted",
		ledger_in_ring(&l));
	/* How much had to be sent depends on the hash; this does not. */
	ktap_figure("delivered", (long long)l.delivered, NULL);
	ktap_figure("tx_dropped", (long long)l.tx_dropped, NULL);
	ktap_figure("enobufs", (long long)l.enobufs, NULL);
	run_close(&x);
}

int main(int argc, char **argv)
{
	struct scenario sc;

	scenario_parse(&sc, argc, argv, NULL, 0);
	if (!sc.len)
		ktap_bail("a ring without slots has nothing to compare");
	if (scenario_owns_queue(&sc))
		scenario_need_one_queue(&sc);
	netns_enter();
	drops_start("FULL_RING");
	if (scenario_owns_queue(&sc))
		test_parity(&sc);
	else if (sc.queues > 1)
		test_many_files(&sc);
	else
		test_alone(&sc);
	drops_stop();
	return ktap_status();
}
