/* SPDX-License-Identifier: GPL-2.0-only */
/* Stands in for the kernel's. One thread runs here, so that no barrier is put to the test. */
#ifndef SHIM_LINUX_COMPILER_H
#define SHIM_LINUX_COMPILER_H

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

#define READ_ONCE(x) __atomic_load_n(&(x), __ATOMIC_RELAXED)
#define WRITE_ONCE(x, value) __atomic_store_n(&(x), (value), __ATOMIC_RELAXED)

#define smp_mb() __sync_synchronize() /* whatever is asked for */
#define smp_wmb() smp_mb() /* the same */
#define smp_rmb() smp_mb() /* the same */

#endif
