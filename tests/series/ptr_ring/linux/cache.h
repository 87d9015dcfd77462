/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Stands in for the kernel's. Batches go by the cache lines of x86-64, but what wants a line of its
 * own gets a page: ring.c takes it away from the side that must not touch it.
 */
#ifndef SHIM_LINUX_CACHE_H
#define SHIM_LINUX_CACHE_H

#define SMP_CACHE_BYTES 64

#define ____cacheline_aligned_in_smp __aligned(4096)

#endif
