// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who wants to write to a file of a device that is down waits for it to come up,
 * and is told then: each of its files, whatever its ring holds.
 */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "drops.h"
#include "ktap.h"
#include "netdev.h"
#include "run.h"

/* Told of each file by a bit, at most so long after the last one. */
static unsigned int told(int epoll, unsigned int wanted, unsigned int ms)
{
	unsigned int seen = 0;
	struct epoll_event ev;

	do {
		if (epoll_wait(epoll, &ev, 1, (int)ms) != 1)
			break;
		seen |= ev.data.u32;
	} while (seen != wanted);
	return seen;
}

int main(int argc, char **argv)
{
	unsigned int i, all, seen;
	struct run x = {};
	int epoll;

	scenario_parse(&x.sc, argc, argv, NULL, 0);
	if (!scenario_owns_queue(&x.sc) || !x.sc.len)
		ktap_bail("up_writer takes tun or tap, a length above 0");
	ktap_plan(2);
	netns_enter();
	drops_start("FULL_RING");
	run_open(&x, "up0");
	run_send(&x, x.sc.len);
	netdev_up(x.b.dev, false);
	epoll = epoll_create1(EPOLL_CLOEXEC);
	for (i = 0; i < x.b.n_fds; i++) {
		struct epoll_event ev = {
			.events = EPOLLOUT | EPOLLET,
			.data.u32 = 1U << i,
		};

		if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, x.b.fd[i], &ev))
			ktap_bail("epoll: %s", strerror(errno));
	}
	all = (1U << x.b.n_fds) - 1;
	seen = told(epoll, all, 0);
	ktap_ok(!seen, "while it is down there is nothing to be told: %#x", seen);
	netdev_up(x.b.dev, true);
	seen = told(epoll, all, x.sc.stall_ms);
	ktap_ok(seen == all, "when it comes up each file is told: %#x of %#x",
		seen, all);
	close(epoll);
	run_close(&x);
	drops_stop();
	return ktap_status();
}
