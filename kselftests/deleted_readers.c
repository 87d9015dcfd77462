// SPDX-License-Identifier: GPL-2.0-only
/*
 * Several threads sleep in read() on the same file, and the device is deleted:
 * all of them are told, and the device goes without waiting for anybody.
 */
#include <errno.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ktap.h"
#include "load.h"
#include "netdev.h"
#include "scenario.h"
#include "stall.h"
#include "task.h"

#define READERS_MOST 8

struct sleeper {
	int fd;
	int tid;
	int error;
	bool ended;
	pthread_t thread;
};

static void *read_once(void *arg)
{
	struct sleeper *sl = arg;
	char buf[FRAME_MAX];

	shared_set(sl->tid, (int)syscall(SYS_gettid));
	if (read(sl->fd, buf, sizeof(buf)) < 0)
		sl->error = errno;
	shared_set(sl->ended, true);
	return NULL;
}

static bool sleeps(const struct sleeper *sl, unsigned int stall_ms)
{
	struct stall st;

	stall_start(&st, stall_ms);
	while (!task_sleeps(&sl->tid)) {
		if (stall_over(&st))
			return false;
		stall_breathe();
	}
	return true;
}

static bool told(const struct sleeper *sl, unsigned int stall_ms)
{
	struct stall st;

	stall_start(&st, stall_ms);
	while (!shared_get(sl->ended) && !stall_over(&st))
		stall_breathe();
	return shared_get(sl->ended) &&
	       (sl->error == EFAULT || sl->error == EBADFD);
}

int main(int argc, char **argv)
{
	struct sleeper sleeper[READERS_MOST] = {};
	unsigned int i, n = 3, asleep = 0, good = 0;
	const struct scenario_option extra[] = {
		{ "readers", &n, "of the same file (3)" },
	};
	struct scenario sc;
	struct bench b;
	u64 since, ms;

	scenario_parse(&sc, argc, argv, extra, ARRAY_SIZE(extra));
	if (!scenario_owns_queue(&sc) || !n || n > READERS_MOST)
		ktap_bail("deleted_readers takes tun or tap, 1 to %d readers",
			  READERS_MOST);
	ktap_plan(3);
	netns_enter();
	bench_open(&b, &sc, "deleted0");
	for (i = 0; i < n; i++) {
		sleeper[i].fd = b.fd[0];
		if (pthread_create(&sleeper[i].thread, NULL, read_once, &sleeper[i]))
			ktap_bail("no thread");
		asleep += sleeps(&sleeper[i], sc.stall_ms);
	}
	ktap_ok(asleep == n, "the readers sleep: %u of %u", asleep, n);
	since = stall_now_ns();
	netdev_delete(b.dev);
	ms = (stall_now_ns() - since) / 1000000;
	ktap_ok(ms < sc.stall_ms, "the device goes, without waiting for anybody: %llu ms",
		ms);
	for (i = 0; i < n; i++)
		good += told(&sleeper[i], sc.stall_ms);
	ktap_ok(good == n, "all return, with EFAULT or EBADFD: %u of %u", good, n);
	close(b.fd[0]);
	return ktap_status();
}
