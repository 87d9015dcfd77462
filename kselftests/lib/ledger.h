/* SPDX-License-Identifier: GPL-2.0-only */
/* Where every frame of a run went. */
#ifndef KSERIES_LEDGER_H
#define KSERIES_LEDGER_H

#include "frame.h"
#include "scenario.h"
#include "types.h"

struct ledger {
	u64 sent;		/* accepted from the sender */
	u64 enobufs;		/* refused, by the driver or the qdisc */
	u64 send_errors;	/* refused in any other way, or would block */
	u64 driver_drops;	/* skb:kfree_skb with FULL_RING */
	u64 tx_dropped;		/* the device's counters */
	u64 rx_dropped;
	u64 qdisc_drops;
	u64 held;		/* waits in the qdisc */
	u64 requeues;
	u64 delivered;
	u64 missing;
	u64 repeated;
	u64 foreign;
};

/* One number of the ledger, by its name as a figure. */
struct ledger_field {
	const char *name;
	size_t offset;
};

extern const struct ledger_field ledger_fields[];
extern const unsigned int ledger_n_fields;

/* Needs drops_start("FULL_RING"); what was dropped before does not count. */
void ledger_begin(struct bench *b);
void ledger_read(struct ledger *l, const struct bench *b,
		 const struct sender *s, const struct tally *t);
u64 ledger_value(const struct ledger *l, unsigned int field);
void ledger_figures(const struct ledger *l);
/*
 * What neither came out, nor was dropped, nor waits in the qdisc: it is in
 * the ring (or in vhost's store). Negative if something was counted twice.
 */
long long ledger_in_ring(const struct ledger *l);
/* All that was tried is accounted for, and nothing is in the ring any more. */
bool ledger_balances(const struct ledger *l);
/* Prints what a stalled device looks like. */
void ledger_stalled(const struct ledger *l, const struct bench *b,
		    const struct scenario *sc);

#endif
