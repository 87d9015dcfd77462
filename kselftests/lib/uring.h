/* SPDX-License-Identifier: GPL-2.0-only */
/* Reads by io_uring, one at a time. Without a library: system calls alone. */
#ifndef KSERIES_URING_H
#define KSERIES_URING_H

#include <sys/types.h>

#include "types.h"

struct uring;

/*
 * Reads of @fd, which should block (else io_uring hands EAGAIN on). The kernel
 * reads at once if there is something, else when the file's poll tells it to.
 * Every other read is first given to a worker thread of the kernel's.
 */
struct uring *uring_open(int fd);
/*
 * As read(), with a timeout: then -1 and EAGAIN, and the request stays out, so
 * that nobody else may read before uring_cancel().
 */
ssize_t uring_read(struct uring *u, void *buf, size_t size, int timeout_ms);
/* Take the request back. What it had read nevertheless is returned, else -1. */
ssize_t uring_cancel(struct uring *u, void *buf, size_t size);
void uring_close(struct uring *u);

#endif
