// SPDX-License-Identifier: GPL-2.0-only
#include <sched.h>
#include <string.h>

#include "bpf.h"
#include "ktap.h"
#include "netdev.h"
#include "qdisc.h"
#include "run.h"
#include "stall.h"

/* Flows until every file's ring has had more than it holds. */
#define MAX_FLOWS 256

/*
 * What a veth peer sends is received in a softirq. On the sender's own CPU
 * that is never seen half done.
 */
static void pin_to_one_cpu(void)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(sched_getcpu(), &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		ktap_diag("not pinned");
}

void run_open(struct run *x, const char *name)
{
	bool ether = scenario_ether(&x->sc);

	if (!scenario_owns_queue(&x->sc))
		pin_to_one_cpu();
	bench_open(&x->b, &x->sc, name);
	ledger_begin(&x->b);
	tally_start(&x->out, ether, x->b.cookie);
	bench_sender(&x->b, &x->sc, &x->s, false);
	reader_open(&x->r, x->sc.reader, x->b.fd[0], &x->out, x->sc.stall_ms);
}

void run_close(struct run *x)
{
	reader_close(&x->r);
	sender_close(&x->s);
	bench_close(&x->b);
}

void run_ledger(const struct run *x, struct ledger *l)
{
	ledger_read(l, &x->b, &x->s, &x->out);
}

bool run_has_backlog(const struct run *x)
{
	return scenario_owns_queue(&x->sc) && qdisc_holds(x->sc.qdisc);
}

static u64 settle(const struct run *x)
{
	struct netdev_stats dev;
	struct stall st;

	stall_start(&st, x->sc.stall_ms);
	do {
		netdev_stats(x->b.dev, &dev);
		if (dev.rx_packets >= x->s.count[SEND_OK])
			return dev.rx_dropped;
		stall_breathe();
	} while (!stall_over(&st));
	ktap_bail("%llu frames sent, %llu arrived", x->s.count[SEND_OK],
		  dev.rx_packets);
}

void run_send(struct run *x, unsigned int n)
{
	sender_send_many(&x->s, n);
	if (!scenario_owns_queue(&x->sc))
		settle(x);
}

bool run_try(struct run *x)
{
	u64 dropped;

	if (scenario_owns_queue(&x->sc))
		return sender_send(&x->s) == SEND_OK;
	dropped = settle(x);
	sender_send(&x->s);
	if (settle(x) == dropped)
		return true;
	/* As with a refusal, the number is used again. */
	x->s.frame.seq--;
	return false;
}

u64 run_backlog(const struct run *x)
{
	struct qdisc_stats st;

	qdisc_read(x->b.dev, &st);
	return st.qlen;
}

u64 run_backlog_falls(const struct run *x, u64 target)
{
	struct stall st;
	u64 backlog;

	stall_start(&st, x->sc.stall_ms);
	while ((backlog = run_backlog(x)) > target) {
		stall_note(&st, backlog);
		if (stall_over(&st))
			break;
		stall_breathe();
	}
	return backlog;
}

bool run_drain(struct run *x)
{
	struct ledger l;
	long long in_ring;
	u64 want;
	bool all;

	run_ledger(x, &l);
	in_ring = ledger_in_ring(&l);
	want = l.held + (u64)max(in_ring, 0LL);
	all = reader_take(&x->r, (unsigned int)want) == want;
	if (!all) {
		run_ledger(x, &l);
		ledger_stalled(&l, &x->b, &x->sc);
	}
	reader_rest(&x->r);
	return all;
}

void run_use_queue(struct run *x, unsigned int queue)
{
	bpf_steer_by_port(x->b.fd[0], scenario_ether(&x->sc),
			  (u16)(x->s.frame.port - queue));
	reader_close(&x->r);
	reader_open(&x->r, x->sc.reader, x->b.fd[queue], &x->out,
		    x->sc.stall_ms);
}

void run_attach_held(struct run *x, struct reader *vhost, unsigned int len)
{
	tuntap_queue(x->b.fd[0], false);
	vhost_detach(vhost->vhost);
	netdev_txqueuelen(x->b.dev, len);
	tuntap_queue(x->b.fd[0], true);
}

/* Which flow goes to which file is the hash's choice: go on until all is full. */
bool run_fill_files(struct run *x)
{
	u64 full = (u64)x->sc.len * x->b.n_fds;
	struct ledger l;
	unsigned int i;

	for (i = 0; i < MAX_FLOWS; i++) {
		x->s.frame.port++;
		run_send(x, x->sc.len + 1);
		run_ledger(x, &l);
		if (ledger_in_ring(&l) >= (long long)full)
			return true;
	}
	return false;
}

bool run_read_file(struct run *x, unsigned int i)
{
	struct tally got;
	struct reader r;
	unsigned int n;

	tally_start(&got, true, x->b.cookie);
	reader_open(&r, x->sc.reader, x->b.fd[i], &got, x->sc.stall_ms);
	reader_start(&r);
	n = reader_take(&r, x->sc.len);
	n += reader_rest(&r);
	reader_close(&r);
	x->out.frames += got.frames;
	ktap_diag("file %u: %llu frames, %llu repeated, %llu foreign", i,
		  got.frames, got.repeated, got.foreign);
	return n == x->sc.len && got.frames == n && !got.repeated;
}
