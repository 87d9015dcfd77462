/* SPDX-License-Identifier: GPL-2.0-only */
/* Queues of a multi-queue device that come and go. */
#ifndef KSERIES_REQUEUE_H
#define KSERIES_REQUEUE_H

#include "scenario.h"

#define REQUEUE_MOST 4
/* One to four queues; of these the lowest, one between, and the last. Many: the last. */
#define REQUEUE_MANY 10
#define REQUEUE_CASES (1 + 2 + 3 + 3 + 1)
#define REQUEUE_TESTS (3 * REQUEUE_CASES)

/*
 * Prints REQUEUE_TESTS results; needs bench_count_freed(). @fill: frames for the
 * queue that will go.
 */
void requeue_all(const struct scenario *sc, unsigned int fill);

#endif
