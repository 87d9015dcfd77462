// SPDX-License-Identifier: GPL-2.0-only
/*
 * Two readers of one file at once, of whatever device: each frame is one
 * reader's alone. The sender fills the ring, so that both of them find frames
 * in it, and waits until they have got them; or, with them at work, makes the
 * ring anew by setting the device's length. A trap makes the time longer between
 * a look at a slot and what follows, unless the ring is long, or is made anew.
 */
#include <stdlib.h>

#include "drain.h"
#include "drops.h"
#include "ktap.h"
#include "load.h"
#include "netdev.h"
#include "ring.h"
#include "scenario.h"
#include "stall.h"
#include "trap.h"

#define READERS 2

struct shared {
	struct scenario sc;
	struct bench bench;
	struct sender sender;
	unsigned int bursts;
	unsigned int resize;
	u64 sent;
	u8 *times;		/* that each frame was read */
	u64 slots;		/* of the ring, for the trap; 0: none */
	struct flows out[READERS];
};

static u64 delivered(const struct shared *sh)
{
	return shared_get(sh->out[0].frames) + shared_get(sh->out[1].frames);
}

static bool wait_for_all(struct shared *sh)
{
	u64 since = stall_now_ns();
	struct stall st;

	stall_start(&st, sh->sc.stall_ms);
	while (delivered(sh) < sh->sent && !stall_over(&st)) {
		load_wait(since);
		stall_note(&st, delivered(sh));
	}
	return delivered(sh) >= sh->sent;
}

/* How many bursts came out. */
static unsigned int send_bursts(struct shared *sh)
{
	unsigned int i, k, room = ring_room(sh->sc.len);

	for (i = 0; i < sh->bursts; i++) {
		for (k = 0; k < room; k++) {
			if (sender_send(&sh->sender) != SEND_OK)
				ktap_bail("send: errno %d", sh->sender.error);
			shared_add(sh->sent, 1);
		}
		if (sh->resize)
			netdev_txqueuelen(sh->bench.dev, sh->sc.len + i % 2);
		if (!wait_for_all(sh))
			break;
	}
	return i;
}

static void start_readers(struct shared *sh, struct drain *reader)
{
	int cpu[CPU_SETSIZE];
	unsigned int i, n = cpus_allowed(cpu, CPU_SETSIZE);

	for (i = 0; i < READERS; i++) {
		reader[i] = (struct drain) {
			/* vhost has one beside it that reads. */
			.kind = i ? READER_READ : sh->sc.reader,
			.fd = sh->bench.fd[0],
			.cpu = cpu[i % n],
			.len = sh->sc.len,
			.rnd = rnd_start(sh->sc.seed, i),
			.out = &sh->out[i],
			.sent = &sh->sent,
			.slots = sh->slots,
		};
		drain_start(&reader[i]);
	}
}

static void report(struct shared *sh, const struct drain *reader,
		   unsigned int bursts)
{
	u64 i, twice = flows_twice(&sh->out[0]), lost = 0, traps = 0, reads = 0;

	for (i = 0; i < sh->sent; i++)
		lost += !sh->times[i];
	for (i = 0; i < READERS; i++) {
		ktap_diag("reader %llu: %llu frames", i, sh->out[i].frames);
		traps += reader[i].traps;
		/* vhost's worker is a thread of its own. */
		reads += reader[i].kind == READER_VHOST ? 0 : sh->out[i].frames;
	}
	ktap_figure("sent", (long long)sh->sent, "frames");
	ktap_ok(bursts == sh->bursts, "what is sent comes out: %u of %u bursts",
		bursts, sh->bursts);
	ktap_ok(!twice && !lost,
		"each frame is one reader's: %llu came twice, %llu never", twice,
		lost);
	ktap_ok(!flows_repeated(&sh->out[0]) && !flows_repeated(&sh->out[1]) &&
		!sh->out[0].stray && !sh->out[1].stray,
		"in the order of sending, and nothing else");
	if (sh->slots)
		ktap_ok(traps >= reads, "readers are held up at the ring: %llu times in %llu reads",
			traps, reads);
	else
		ktap_skip("no trap", "readers are held up at the ring");
	ktap_ok(!drops_count(), "none is dropped for a full ring: %llu",
		drops_count());
}

int main(int argc, char **argv)
{
	struct shared sh = { .bursts = 300 };
	const struct scenario_option options[] = {
		{ "bursts", &sh.bursts, "each as long as the ring has room (300)" },
		{ "resize", &sh.resize, "1: set the device's length meanwhile (0)" },
	};
	struct drain reader[READERS];
	unsigned int i, done;

	scenario_parse(&sh.sc, argc, argv, options, ARRAY_SIZE(options));
	scenario_need_one_queue(&sh.sc);
	if (!sh.sc.len)
		ktap_bail("shared_file takes a length above 0");
	sh.times = calloc(sh.bursts, sh.sc.len);
	if (!sh.times)
		ktap_bail("no memory");
	ktap_plan(5);
	netns_enter();
	drops_start("FULL_RING");
	bench_open(&sh.bench, &sh.sc, "share0");
	if (!sh.resize && sh.sc.len <= TRAP_SLOTS)
		sh.slots = trap_find(sh.bench.dev, sh.sc.len, 0);
	bench_sender(&sh.bench, &sh.sc, &sh.sender, false);
	sh.sender.frame.port = FLOWS_PORT;
	for (i = 0; i < READERS; i++) {
		flows_start(&sh.out[i], 1, scenario_ether(&sh.sc),
			    sh.bench.cookie);
		flows_mark(&sh.out[i], sh.times, sh.bursts * sh.sc.len);
	}
	start_readers(&sh, reader);
	done = send_bursts(&sh);
	for (i = 0; i < READERS; i++)
		drain_end(&reader[i]);
	report(&sh, reader, done);
	sender_close(&sh.sender);
	bench_close(&sh.bench);
	drops_stop();
	free(sh.times);
	return ktap_status();
}
