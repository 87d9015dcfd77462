// SPDX-License-Identifier: GPL-2.0-only
/*
 * A guest with mergeable buffers, as those with Linux have them: a frame takes
 * several. vhost-net waits until there are enough for the next one, and what it
 * holds meanwhile is neither lost nor given back in part.
 */
#include "drops.h"
#include "held.h"
#include "ktap.h"
#include "netdev.h"

/* In bytes: every frame takes two or more. */
#define BUFFER 28
/* Frames for which there is one buffer too few at first. */
#define SHORT 3

struct test {
	struct held h;
	unsigned int each;	/* buffers that a frame takes */
};

static void test_open(struct test *t)
{
	struct run *x = &t->h.x;
	char buf[FRAME_MAX];

	netns_enter();
	bench_count_freed(&x->sc);
	held_open(&t->h, "merged0");
	vhost_close(t->h.vhost.vhost);
	t->h.vhost.vhost = vhost_open_merged(BUFFER);
	t->each = vhost_buffers(t->h.vhost.vhost,
				frame_build(buf, &x->s.frame));
}

/* Here reader_take() finds a buffer for each frame at least, and offers no more. */
static void check_short(struct test *t)
{
	struct vhost *v = t->h.vhost.vhost;
	unsigned int i, got = 0, waits = 0;

	for (i = 0; i < SHORT; i++) {
		vhost_offer(v, t->each - 1);
		waits += vhost_sleeps(t->h.x.sc.stall_ms) &&
			 !vhost_collect(v, tally_take, &t->h.x.out);
		vhost_offer(v, 1);
		got += reader_take(&t->h.vhost, 1);
	}
	ktap_ok(waits == SHORT, "with %u buffers of %u vhost waits: %u of %u times",
		t->each - 1, t->each, waits, SHORT);
	ktap_ok(got == SHORT, "with the last one it delivers: %u of %u", got, SHORT);
}

int main(int argc, char **argv)
{
	struct test t = {};
	struct run *x = &t.h.x;
	unsigned int got, len;

	scenario_defaults(&x->sc);
	x->sc.len = 16;
	scenario_options(&x->sc, argc, argv, NULL, 0);
	scenario_need_one_queue(&x->sc);
	len = x->sc.len;
	if (len <= SHORT || len > VHOST_BATCH)
		ktap_bail("vhost_merged takes a length of %u to %d", SHORT + 1,
			  VHOST_BATCH);
	ktap_plan(5);
	test_open(&t);
	run_send(x, len);
	reader_start(&t.h.vhost);
	check_short(&t);
	vhost_offer(t.h.vhost.vhost, (len - SHORT) * t.each);
	got = reader_take(&t.h.vhost, len - SHORT);
	ktap_ok(got == len - SHORT, "then all for which there are buffers: %u of %u",
		got, len - SHORT);
	/* Of these it gets one, and has a part of what the next one takes. */
	run_send(x, len);
	vhost_offer(t.h.vhost.vhost, 2 * t.each - 1);
	got = reader_take(&t.h.vhost, 1);
	vhost_detach(t.h.vhost.vhost);
	got += reader_take(&x->r, len - 1);
	ktap_ok(got == len, "what it gives back a plain reader gets: %u of %u", got,
		len);
	ktap_ok(tally_exact(&x->out, 2 * len) && !drops_count(),
		"all come out, once and in order: %llu of %u, %llu missing, %llu repeated, %llu foreign, %llu freed",
		x->out.frames, 2 * len, x->out.missing, x->out.repeated,
		x->out.foreign, drops_count());
	held_close(&t.h);
	drops_stop();
	return ktap_status();
}
