// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <linux/io_uring.h>
#include <linux/time_types.h>

#include "ktap.h"
#include "uring.h"

#define ENTRIES 4
#define FRAME_SIZE 2048
#define CANCEL_MS 10
#define CANCEL_TRIES 500
#define NEEDED (IORING_FEAT_SINGLE_MMAP | IORING_FEAT_EXT_ARG)

/* What a completion is about. */
enum about { ABOUT_READ = 1, ABOUT_CANCEL };

struct uring {
	int ring;
	int fd;
	void *map;
	size_t map_size;
	struct io_uring_sqe *sqes;
	u32 *sq_tail;
	u32 *sq_array;
	u32 sq_mask;
	u32 *cq_head;
	u32 *cq_tail;
	u32 cq_mask;
	struct io_uring_cqe *cqes;
	bool out;		/* a read is in the kernel's hands */
	bool worker;		/* the next one begins with a worker */
	char buf[FRAME_SIZE];
};

static void *map(const struct uring *u, size_t size, u64 offset)
{
	void *at = mmap(NULL, size, PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_POPULATE, u->ring, (off_t)offset);

	if (at == MAP_FAILED)
		ktap_bail("io_uring: mmap: %s", strerror(errno));
	return at;
}

struct uring *uring_open(int fd)
{
	struct io_uring_params p = {};
	struct uring *u = calloc(1, sizeof(*u));
	char *rings;

	if (!u)
		ktap_bail("no memory");
	u->fd = fd;
	u->ring = (int)syscall(SYS_io_uring_setup, ENTRIES, &p);
	if (u->ring < 0)
		ktap_bail("io_uring_setup: %s", strerror(errno));
	if ((p.features & NEEDED) != NEEDED)
		ktap_bail("io_uring lacks what it needs: %x", p.features);
	u->map_size = max(p.sq_off.array + p.sq_entries * sizeof(u32),
			  p.cq_off.cqes +
			  p.cq_entries * sizeof(struct io_uring_cqe));
	rings = map(u, u->map_size, IORING_OFF_SQ_RING);
	u->map = rings;
	u->sqes = map(u, p.sq_entries * sizeof(*u->sqes), IORING_OFF_SQES);
	u->sq_tail = (u32 *)(rings + p.sq_off.tail);
	u->sq_array = (u32 *)(rings + p.sq_off.array);
	u->sq_mask = *(u32 *)(rings + p.sq_off.ring_mask);
	u->cq_head = (u32 *)(rings + p.cq_off.head);
	u->cq_tail = (u32 *)(rings + p.cq_off.tail);
	u->cq_mask = *(u32 *)(rings + p.cq_off.ring_mask);
	u->cqes = (struct io_uring_cqe *)(rings + p.cq_off.cqes);
	return u;
}

/* Whatever was submitted before is taken by now: one place is always free. */
static struct io_uring_sqe *next_sqe(struct uring *u)
{
	u32 at = *u->sq_tail & u->sq_mask;

	u->sq_array[at] = at;
	memset(&u->sqes[at], 0, sizeof(u->sqes[at]));
	return &u->sqes[at];
}

/* Submit @n, then wait for a completion; it may have been there before. */
static void enter(struct uring *u, unsigned int n, int timeout_ms)
{
	struct __kernel_timespec ts = {
		.tv_sec = timeout_ms / 1000,
		.tv_nsec = timeout_ms % 1000 * 1000000LL,
	};
	struct io_uring_getevents_arg arg = { .ts = (u64)(uintptr_t)&ts };
	long done;

	__atomic_store_n(u->sq_tail, *u->sq_tail + n, __ATOMIC_RELEASE);
	done = syscall(SYS_io_uring_enter, u->ring, n, 1,
		       IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG,
		       &arg, sizeof(arg));
	if (n ? done != (long)n :
	    done < 0 && errno != ETIME && errno != EINTR)
		ktap_bail("io_uring_enter: %ld of %u, %s", done, n,
			  strerror(errno));
}

/* The oldest completion, if there is one. */
static bool next_cqe(struct uring *u, enum about *about, int *res)
{
	const struct io_uring_cqe *cqe = &u->cqes[*u->cq_head & u->cq_mask];

	if (*u->cq_head == __atomic_load_n(u->cq_tail, __ATOMIC_ACQUIRE))
		return false;
	*about = (enum about)cqe->user_data;
	*res = cqe->res;
	__atomic_store_n(u->cq_head, *u->cq_head + 1, __ATOMIC_RELEASE);
	return true;
}

/* Of a read that has come back: its frame, or its errno. */
static ssize_t finish(struct uring *u, int res, void *buf, size_t size)
{
	u->out = false;
	if (res < 0) {
		errno = res == -ECANCELED ? EAGAIN : -res;
		return -1;
	}
	memcpy(buf, u->buf, min((size_t)res, size));
	return res;
}

ssize_t uring_read(struct uring *u, void *buf, size_t size, int timeout_ms)
{
	struct io_uring_sqe *sqe;
	unsigned int n = 0;
	enum about about;
	int res;

	if (!u->out) {
		sqe = next_sqe(u);
		sqe->opcode = IORING_OP_READ;
		sqe->flags = u->worker ? IOSQE_ASYNC : 0;
		sqe->fd = u->fd;
		sqe->addr = (u64)(uintptr_t)u->buf;
		sqe->len = sizeof(u->buf);
		sqe->user_data = ABOUT_READ;
		u->worker = !u->worker;
		u->out = true;
		n = 1;
	}
	enter(u, n, timeout_ms);
	if (next_cqe(u, &about, &res))
		return finish(u, res, buf, size);
	errno = EAGAIN;
	return -1;
}

ssize_t uring_cancel(struct uring *u, void *buf, size_t size)
{
	unsigned int tries = CANCEL_TRIES;
	struct io_uring_sqe *sqe;
	bool cancelled = false;
	enum about about;
	ssize_t len = -1;
	int res;

	if (!u->out)
		return -1;
	sqe = next_sqe(u);
	sqe->opcode = IORING_OP_ASYNC_CANCEL;
	sqe->addr = ABOUT_READ;
	sqe->user_data = ABOUT_CANCEL;
	enter(u, 1, 0);
	/* Both come back, in either order, and soon. */
	while (u->out || !cancelled) {
		if (!tries--)
			ktap_bail("io_uring does not give up its read");
		if (!next_cqe(u, &about, &res))
			enter(u, 0, CANCEL_MS);
		else if (about == ABOUT_READ)
			len = finish(u, res, buf, size);
		else
			cancelled = true;
	}
	return len;
}

void uring_close(struct uring *u)
{
	char buf[1];

	uring_cancel(u, buf, sizeof(buf));
	munmap(u->sqes, ENTRIES * sizeof(*u->sqes));
	munmap(u->map, u->map_size);
	close(u->ring);
	free(u);
}
