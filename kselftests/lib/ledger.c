// SPDX-License-Identifier: GPL-2.0-only
#include "drops.h"
#include "ktap.h"
#include "ledger.h"
#include "netdev.h"
#include "qdisc.h"

#define FIELD(name) { #name, offsetof(struct ledger, name) }

const struct ledger_field ledger_fields[] = {
	FIELD(sent),
	FIELD(enobufs),
	FIELD(send_errors),
	FIELD(driver_drops),
	FIELD(tx_dropped),
	FIELD(rx_dropped),
	FIELD(qdisc_drops),
	FIELD(held),
	FIELD(requeues),
	FIELD(delivered),
	FIELD(missing),
	FIELD(repeated),
	FIELD(foreign),
};

const unsigned int ledger_n_fields = ARRAY_SIZE(ledger_fields);

void ledger_begin(struct bench *b)
{
	b->drops_before = drops_count();
}

void ledger_read(struct ledger *l, const struct bench *b,
		 const struct sender *s, const struct tally *t)
{
	struct netdev_stats dev;
	struct qdisc_stats qdisc;

	netdev_stats(b->dev, &dev);
	qdisc_read(b->dev, &qdisc);
	*l = (struct ledger) {
		.sent = s->count[SEND_OK],
		.enobufs = s->count[SEND_NOBUFS],
		.send_errors = s->count[SEND_NETDOWN] +
			       s->count[SEND_BLOCKED] + s->count[SEND_OTHER],
		.driver_drops = drops_count() - b->drops_before,
		.tx_dropped = dev.tx_dropped,
		.rx_dropped = dev.rx_dropped,
		.qdisc_drops = qdisc.drops,
		.held = qdisc.qlen,
		.requeues = qdisc.requeues,
		.delivered = t->frames,
		.missing = t->missing,
		.repeated = t->repeated,
		.foreign = t->foreign,
	};
}

u64 ledger_value(const struct ledger *l, unsigned int field)
{
	return *(const u64 *)((const char *)l + ledger_fields[field].offset);
}

void ledger_figures(const struct ledger *l)
{
	unsigned int i;

	for (i = 0; i < ledger_n_fields; i++)
		ktap_figure(ledger_fields[i].name,
			    (long long)ledger_value(l, i), NULL);
}

long long ledger_in_ring(const struct ledger *l)
{
	/* A refused frame is among the drops, of the driver or the qdisc. */
	u64 tried = l->sent + l->enobufs;
	u64 known = l->delivered + l->driver_drops + l->qdisc_drops + l->held;

	return (long long)(tried - known);
}

bool ledger_balances(const struct ledger *l)
{
	return !ledger_in_ring(l) && !l->send_errors;
}

void ledger_stalled(const struct ledger *l, const struct bench *b,
		    const struct scenario *sc)
{
	ktap_diag("stalled: backlog %llu, ring %lld of %u, queue %s",
		  l->held, ledger_in_ring(l), sc->len,
		  bench_stopped(b, sc) ? "stopped" : "running");
}
