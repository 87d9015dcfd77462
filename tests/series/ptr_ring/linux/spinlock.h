/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Stands in for the kernel's. One thread runs here: a lock that is not free when it is taken would
 * never become free, and one must be given back the way it was taken.
 */
#ifndef SHIM_LINUX_SPINLOCK_H
#define SHIM_LINUX_SPINLOCK_H

#include <linux/types.h>
#include "../shim.h"

enum shim_held { SHIM_FREE, SHIM_PLAIN, SHIM_BH, SHIM_IRQ, SHIM_IRQSAVE };

struct shim_lock {
	enum shim_held held;
};

typedef struct shim_lock __bitwise spinlock_t;

static inline void shim_take(spinlock_t *lock, enum shim_held how)
{
	if (lock->held != SHIM_FREE)
		shim_complain("a lock is taken that is not free");
	lock->held = how;
	shim_lock_held(1);
}

static inline void shim_give(spinlock_t *lock, enum shim_held how)
{
	if (lock->held != how)
		shim_complain("a lock is not given back as it was taken");
	if (lock->held != SHIM_FREE)
		shim_lock_held(-1);
	lock->held = SHIM_FREE;
}

#define spin_lock_init(lock) ((lock)->held = SHIM_FREE)
#define spin_lock(lock) shim_take(lock, SHIM_PLAIN)
#define spin_unlock(lock) shim_give(lock, SHIM_PLAIN)
#define spin_lock_bh(lock) shim_take(lock, SHIM_BH)
#define spin_unlock_bh(lock) shim_give(lock, SHIM_BH)
#define spin_lock_irq(lock) shim_take(lock, SHIM_IRQ)
#define spin_unlock_irq(lock) shim_give(lock, SHIM_IRQ)
#define spin_lock_irqsave(lock, flags) ((flags) = 0, shim_take(lock, SHIM_IRQSAVE))
#define spin_unlock_irqrestore(lock, flags) ((void)(flags), shim_give(lock, SHIM_IRQSAVE))

#endif
