/* SPDX-License-Identifier: GPL-2.0-only */
/* Queues of a multi-queue device that come and go. */
#ifndef KSERIES_REQUEUE_H
#define KSERIES_REQUEUE_H

#include "scenario.h"

#define REQUEUE_MOST 3
/* One to three queues; of these the lowest, the middle and the last one. */
#define REQUEUE_CASES 6
#define REQUEUE_TESTS (2 * REQUEUE_CASES)

/* Prints REQUEUE_TESTS results. @fill: frames for the queue that will go. */
void requeue_all(const struct scenario *sc, unsigned int fill);

#endif
