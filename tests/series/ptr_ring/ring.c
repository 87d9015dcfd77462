// SPDX-License-Identifier: GPL-2.0-only
/*
 * A ring for a program to call: the tree's own ptr_ring.h as functions. Those of the header that
 * want a lock to be held are called with it held, and what there is for several contexts in turn.
 */
#include <linux/ptr_ring.h>

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define PAGE __alignof__(struct ptr_ring)

static bool guarded;
/* Of each of these calls, since the last ring was made: the same calls do the same again. */
static struct {
	unsigned int produce, consume, batch, empty;
} turn;

#define IN_TURN(turn, call, ...)					\
({									\
	unsigned int _which = (turn)++ % 4;				\
									\
	_which == 0 ? call(__VA_ARGS__) :				\
	_which == 1 ? call##_bh(__VA_ARGS__) :				\
	_which == 2 ? call##_irq(__VA_ARGS__) : call##_any(__VA_ARGS__);	\
})

/*
 * From here on, while one side is at work, the cache line of the other one, a page here, is out of
 * its reach, and so are the slots of a new ring while nobody has a lock: touching them ends the
 * program. This takes time.
 */
void ring_guard(bool on)
{
	guarded = on;
}

static void in_reach(void *line, bool yes)
{
	if (guarded)
		mprotect(line, PAGE, yes ? PROT_READ | PROT_WRITE : PROT_NONE);
}

static void producer_in_reach(struct ptr_ring *r, bool yes)
{
	in_reach(&r->producer, yes);
}

static void consumer_in_reach(struct ptr_ring *r, bool yes)
{
	in_reach(&r->consumer_head, yes);
}

struct ptr_ring *ring_new(int size)
{
	struct ptr_ring *r = aligned_alloc(PAGE, sizeof(*r));

	memset(&turn, 0, sizeof(turn));
	if (r && ptr_ring_init(r, size, GFP_KERNEL)) {
		free(r);
		r = NULL;
	}
	if (r && guarded)
		shim_hide(&r->queue);
	return r;
}

void ring_free(struct ptr_ring *r, void (*destroy)(void *))
{
	shim_hide(NULL);
	ptr_ring_cleanup(r, destroy);
	free(r);
}

int ring_produce(struct ptr_ring *r, void *entry)
{
	int err;

	consumer_in_reach(r, false);
	err = IN_TURN(turn.produce, ptr_ring_produce, r, entry);
	consumer_in_reach(r, true);
	return err;
}

void *ring_consume(struct ptr_ring *r)
{
	void *entry;

	producer_in_reach(r, false);
	entry = IN_TURN(turn.consume, ptr_ring_consume, r);
	producer_in_reach(r, true);
	return entry;
}

int ring_consume_batched(struct ptr_ring *r, void **entries, int n)
{
	int count;

	producer_in_reach(r, false);
	count = IN_TURN(turn.batch, ptr_ring_consume_batched, r, entries, n);
	producer_in_reach(r, true);
	return count;
}

void ring_unconsume(struct ptr_ring *r, void **entries, int n, void (*destroy)(void *))
{
	ptr_ring_unconsume(r, entries, n, destroy);
}

int ring_resize(struct ptr_ring *r, int size, void (*destroy)(void *))
{
	return ptr_ring_resize(r, size, GFP_KERNEL, destroy);
}

/* The same, in the way of a device that has several rings. */
int ring_resize_multiple(struct ptr_ring *r, int size, void (*destroy)(void *))
{
	return ptr_ring_resize_multiple_bh(&r, 1, size, GFP_KERNEL, destroy);
}

bool ring_empty(struct ptr_ring *r)
{
	return IN_TURN(turn.empty, ptr_ring_empty, r);
}

int ring_size(struct ptr_ring *r)
{
	return r->size;
}

/* Say of each slot whether it is taken. */
void ring_taken(struct ptr_ring *r, bool *taken)
{
	spin_lock(&r->consumer_lock);
	for (int i = 0; i < r->size; i++)
		taken[i] = r->queue[i];
	spin_unlock(&r->consumer_lock);
}

#ifdef HAVE_PRODUCE_PEEK
int ring_produce_peek(struct ptr_ring *r)
{
	int err;

	consumer_in_reach(r, false);
	spin_lock(&r->producer_lock);
	err = __ptr_ring_produce_peek(r);
	spin_unlock(&r->producer_lock);
	consumer_in_reach(r, true);
	return err;
}
#endif

#ifdef HAVE_CONSUME_CREATED_SPACE
/* Ask for each number of consumes up to n. */
void ring_consume_created_space(struct ptr_ring *r, int n, bool *created)
{
	producer_in_reach(r, false);
	spin_lock(&r->consumer_lock);
	for (int i = 0; i <= n; i++)
		created[i] = __ptr_ring_consume_created_space(r, i);
	spin_unlock(&r->consumer_lock);
	producer_in_reach(r, true);
}
#endif
