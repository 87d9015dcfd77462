// SPDX-License-Identifier: GPL-2.0-only
#include <string.h>
#include <linux/gen_stats.h>

#include "ktap.h"
#include "netdev.h"
#include "nl.h"
#include "qdisc.h"

#define ROOMY_PACKETS 60000U
#define ROOMY_BYTES (512U << 20)
/* Far beyond any test, well inside CoDel's 32 bit clock of 1024 ns. */
#define NEVER_USEC (600U * 1000000U)

const char * const qdisc_kinds[] = {
	"noqueue", "pfifo_fast", "fq_codel", "fq", "prio", "mq", NULL,
};

bool qdisc_known(const char *kind)
{
	size_t i;

	for (i = 0; qdisc_kinds[i]; i++)
		if (!strcmp(qdisc_kinds[i], kind))
			return true;
	return false;
}

bool qdisc_holds(const char *kind)
{
	return strcmp(kind, "noqueue");
}

unsigned int qdisc_capacity(const char *kind, unsigned int txqueuelen)
{
	if (!qdisc_holds(kind))
		return 0;
	/* pfifo_fast and the children of prio and mq take the device's word. */
	if (strcmp(kind, "fq_codel") && strcmp(kind, "fq"))
		return txqueuelen;
	return ROOMY_PACKETS;
}

static void options_fq_codel(struct nl_req *req, u32 target_us,
			     u32 interval_us, bool ecn)
{
	struct rtattr *nest = nl_nest(req, TCA_OPTIONS);

	nl_put_u32(req, TCA_FQ_CODEL_LIMIT, ROOMY_PACKETS);
	nl_put_u32(req, TCA_FQ_CODEL_MEMORY_LIMIT, ROOMY_BYTES);
	nl_put_u32(req, TCA_FQ_CODEL_TARGET, target_us);
	nl_put_u32(req, TCA_FQ_CODEL_INTERVAL, interval_us);
	nl_put_u32(req, TCA_FQ_CODEL_ECN, ecn);
	nl_nest_end(req, nest);
}

static void options_fq(struct nl_req *req)
{
	struct rtattr *nest = nl_nest(req, TCA_OPTIONS);

	nl_put_u32(req, TCA_FQ_PLIMIT, ROOMY_PACKETS);
	nl_put_u32(req, TCA_FQ_FLOW_PLIMIT, ROOMY_PACKETS);
	nl_put_u32(req, TCA_FQ_RATE_ENABLE, 0);
	nl_nest_end(req, nest);
}

static void options_prio(struct nl_req *req)
{
	static const struct tc_prio_qopt opt = {
		.bands = 3,
		.priomap = { 1, 2, 2, 2, 1, 2, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1 },
	};

	nl_put(req, TCA_OPTIONS, &opt, sizeof(opt));
}

static void replace_start(struct nl_req *req, const char *dev,
			  const char *kind, u32 parent, u32 handle)
{
	struct tcmsg tcm = {
		.tcm_ifindex = netdev_index(dev),
		.tcm_parent = parent,
		.tcm_handle = handle,
	};

	nl_start(req, RTM_NEWQDISC, NLM_F_CREATE | NLM_F_REPLACE, &tcm,
		 sizeof(tcm));
	nl_put_str(req, TCA_KIND, kind);
}

static void replace_end(struct nl_req *req, const char *dev, const char *kind)
{
	int err = nl_talk(req, NULL, NULL);

	if (err)
		ktap_bail("qdisc %s on %s: %s", kind, dev, strerror(-err));
}

static void replace(const char *dev, const char *kind, u32 parent,
		    u32 handle)
{
	struct nl_req req;

	replace_start(&req, dev, kind, parent, handle);
	if (!strcmp(kind, "fq_codel"))
		options_fq_codel(&req, NEVER_USEC, NEVER_USEC, false);
	else if (!strcmp(kind, "fq"))
		options_fq(&req);
	else if (!strcmp(kind, "prio"))
		options_prio(&req);
	replace_end(&req, dev, kind);
}

void qdisc_fq_codel(const char *dev, u32 target_us, u32 interval_us)
{
	const char *kind = "fq_codel";
	struct nl_req req;

	replace_start(&req, dev, kind, TC_H_ROOT, QDISC_ROOT_HANDLE);
	options_fq_codel(&req, target_us ? target_us : NEVER_USEC,
			 interval_us ? interval_us : NEVER_USEC, target_us);
	replace_end(&req, dev, kind);
}

void qdisc_replace(const char *dev, const char *kind)
{
	bool classful = !strcmp(kind, "mq") || !strcmp(kind, "prio");

	replace(dev, kind, TC_H_ROOT, classful ? QDISC_ROOT_HANDLE : 0);
}

void qdisc_replace_any(const char *dev, const char *kind)
{
	replace(dev, kind, TC_H_ROOT, 0);
}

void qdisc_replace_at(const char *dev, const char *kind, u32 parent)
{
	replace(dev, kind, parent, 0);
}

static void copy_stats(void *to, size_t size, const struct rtattr *rta)
{
	size_t len = rta ? RTA_PAYLOAD(rta) : 0;

	memset(to, 0, size);
	if (rta)
		memcpy(to, RTA_DATA(rta), min(len, size));
}

static void stats_answer(const struct nlmsghdr *nlh, void *arg)
{
	const struct rtattr *all = nl_find(nlh, sizeof(struct tcmsg),
					   TCA_STATS2);
	struct gnet_stats_basic basic;
	struct gnet_stats_queue queue;
	struct qdisc_stats *st = arg;

	if (!all)
		return;
	copy_stats(&basic, sizeof(basic), nl_find_in(all, TCA_STATS_BASIC));
	copy_stats(&queue, sizeof(queue), nl_find_in(all, TCA_STATS_QUEUE));
	st->packets = basic.packets;
	st->qlen = queue.qlen;
	st->backlog = queue.backlog;
	st->drops = queue.drops;
	st->requeues = queue.requeues;
}

void qdisc_read_at(const char *dev, u32 parent, struct qdisc_stats *st)
{
	struct tcmsg tcm = {
		.tcm_ifindex = netdev_index(dev),
		.tcm_parent = parent,
	};
	struct nl_req req;
	int err;

	memset(st, 0, sizeof(*st));
	/* The answer is a notification: only an echo brings it back to us. */
	nl_start(&req, RTM_GETQDISC, NLM_F_ECHO, &tcm, sizeof(tcm));
	err = nl_talk(&req, stats_answer, st);
	if (err)
		ktap_bail("qdisc of %s: %s", dev, strerror(-err));
}

void qdisc_read(const char *dev, struct qdisc_stats *st)
{
	qdisc_read_at(dev, TC_H_ROOT, st);
}
