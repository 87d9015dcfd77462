// SPDX-License-Identifier: GPL-2.0-only
/*
 * Several threads sleep in read() on the same file, and the device is deleted:
 * all of them are told, and the device goes without waiting for anybody. With
 * --detached 1 their file has no queue any more.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ktap.h"
#include "load.h"
#include "netdev.h"
#include "nl.h"
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

/* A child does it: who waits for the device to go cannot be killed. */
static bool goes(const char *dev, unsigned int stall_ms, pid_t *child)
{
	struct stall st;

	*child = fork();
	if (*child < 0)
		ktap_bail("fork: %s", strerror(errno));
	if (!*child) {
		nl_forget();
		netdev_delete(dev);
		_exit(0);
	}
	stall_start(&st, stall_ms);
	while (!waitpid(*child, NULL, WNOHANG)) {
		if (stall_over(&st))
			return false;
		stall_breathe();
	}
	return true;
}

int main(int argc, char **argv)
{
	struct sleeper sleeper[READERS_MOST] = {};
	unsigned int i, n = 3, detached = 0, asleep = 0, good = 0;
	const struct scenario_option extra[] = {
		{ "readers", &n, "of the same file (3)" },
		{ "detached", &detached, "1: the file has lost its queue (0)" },
	};
	struct scenario sc;
	struct bench b;
	pid_t child;
	bool gone;

	scenario_parse(&sc, argc, argv, extra, ARRAY_SIZE(extra));
	if (!scenario_owns_queue(&sc) || !n || n > READERS_MOST)
		ktap_bail("deleted_readers takes tun or tap, 1 to %d readers",
			  READERS_MOST);
	task_interrupt_by(SIGUSR1);
	sc.queues = detached ? 2 : 1;
	ktap_plan(3);
	netns_enter();
	bench_open(&b, &sc, "deleted0");
	for (i = 0; i < n; i++) {
		sleeper[i].fd = b.fd[sc.queues - 1];
		if (pthread_create(&sleeper[i].thread, NULL, read_once, &sleeper[i]))
			ktap_bail("no thread");
		asleep += sleeps(&sleeper[i], sc.stall_ms);
	}
	ktap_ok(asleep == n, "the readers sleep: %u of %u", asleep, n);
	if (detached)
		tuntap_queue(b.fd[1], false);
	gone = goes(b.dev, sc.stall_ms, &child);
	ktap_ok(gone, "the device goes, without waiting for anybody");
	for (i = 0; i < n; i++)
		good += told(&sleeper[i], sc.stall_ms);
	ktap_ok(good == n, "all return, with EFAULT or EBADFD: %u of %u", good, n);
	/* Whoever still sleeps is what the device waits for. */
	for (i = 0; i < n; i++)
		if (!shared_get(sleeper[i].ended))
			pthread_kill(sleeper[i].thread, SIGUSR1);
	if (!gone)
		waitpid(child, NULL, 0);
	for (i = 0; i < sc.queues; i++)
		close(b.fd[i]);
	return ktap_status();
}
