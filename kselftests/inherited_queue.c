// SPDX-License-Identifier: GPL-2.0-only
/*
 * Of two files the first one's ring is full, and its queue stopped. Then there
 * is no qdisc any more, and that file goes. The other one inherits the number of
 * its queue, and must not find it stopped: under noqueue nobody could wait.
 */
#include <unistd.h>

#include "choice.h"
#include "drops.h"
#include "ktap.h"
#include "netdev.h"
#include "qdisc.h"
#include "ring.h"
#include "run.h"

#define EXTRA 5U

enum how { HOW_DETACH, HOW_CLOSE };

static const char * const hows[] = { "detach", "close", NULL };

int main(int argc, char **argv)
{
	enum how how = (enum how)choice_take(&argc, argv, "how", hows, 0);
	unsigned int n, sent, got;
	struct run x = {};

	scenario_parse(&x.sc, argc, argv, NULL, 0);
	if (!run_has_backlog(&x) || !x.sc.len)
		ktap_bail("inherited_queue takes tun or tap, a qdisc, a length above 0");
	x.sc.queues = 2;
	x.sc.reader = READER_POLL;
	n = ring_room(x.sc.len);
	ktap_plan(2);
	netns_enter();
	drops_start("FULL_RING");
	run_open(&x, "inherit0");
	run_use_queue(&x, 0);
	run_send(&x, x.sc.len + EXTRA);
	ktap_figure("backlog_before", (long long)run_backlog(&x), "frames");
	x.sc.qdisc = "noqueue";
	qdisc_replace(x.b.dev, x.sc.qdisc);
	if (how == HOW_DETACH)
		tuntap_queue(x.b.fd[0], false);
	reader_close(&x.r);
	if (how == HOW_CLOSE) {
		close(x.b.fd[0]);
		x.b.fd[0] = x.b.fd[--x.b.n_fds];
	}
	reader_open(&x.r, x.sc.reader, x.b.fd[how == HOW_DETACH], &x.out,
		    x.sc.stall_ms);
	x.s.count[SEND_NETDOWN] = 0;
	sent = sender_send_many(&x.s, n);
	ktap_ok(sent == n, "what is sent to it is taken: %u of %u, %llu ENETDOWN", sent,
		n, x.s.count[SEND_NETDOWN]);
	got = reader_take(&x.r, sent);
	ktap_ok(got == sent && sent, "and comes out: %u of %u", got, sent);
	run_close(&x);
	drops_stop();
	return ktap_status();
}
