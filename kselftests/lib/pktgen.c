// SPDX-License-Identifier: GPL-2.0-only
/*
 * The kernel's packet generator, by way of its proc files. Each of them takes
 * one command a write, and takes it only with its newline.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ktap.h"
#include "pktgen.h"
#include "stall.h"
#include "task.h"

#define PKTGEN_DIR "/proc/net/pktgen"

/* In which a thread that looks for something to do ten times a second begins. */
#define BEGIN_MS 5000
#define LOOK_US 1000

/* Any unicast address will do: nobody at the far end looks at it. */
#define PKTGEN_DST_MAC "02:00:00:00:00:02"

static int pktgen_command(const char *file, const char *fmt, ...)
{
	char path[128], cmd[96];
	va_list ap;
	ssize_t n;
	int len;
	int err;
	int fd;

	va_start(ap, fmt);
	len = vsnprintf(cmd, sizeof(cmd) - 1, fmt, ap);
	va_end(ap);
	if (len < 0 || (size_t)len >= sizeof(cmd) - 1)
		return -EINVAL;
	cmd[len++] = '\n';

	snprintf(path, sizeof(path), PKTGEN_DIR "/%s", file);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = write(fd, cmd, len);
	err = n == len ? 0 : n < 0 ? -errno : -EIO;
	close(fd);
	return err;
}

static void pktgen_dev_file(const struct pktgen_conf *conf, unsigned int thread,
			    char *buf, size_t len)
{
	snprintf(buf, len, "%s@%u", conf->ifname, thread);
}

int pktgen_set_count(const struct pktgen_conf *conf, u64 count)
{
	unsigned int t;
	char dev[32];
	int err;

	for (t = 0; t < conf->threads; t++) {
		pktgen_dev_file(conf, t, dev, sizeof(dev));
		err = pktgen_command(dev, "count %llu",
				     (unsigned long long)count);
		if (err)
			return err;
	}
	return 0;
}

/*
 * There is nothing to be removed first. A thread that is late to carry that out
 * would remove what is added here: the kernel gives it 125 ms, and it looks
 * every 100 ms.
 */
static int pktgen_setup_thread(const struct pktgen_conf *conf, unsigned int t)
{
	unsigned int cpus = (unsigned int)sysconf(_SC_NPROCESSORS_ONLN);
	char thread[32], dev[32];
	int err;

	/* With more of them than CPUs, some have to share one. */
	snprintf(thread, sizeof(thread), PKTGEN_THREAD "%u",
		 (conf->first_cpu + t) % cpus);
	pktgen_dev_file(conf, t, dev, sizeof(dev));

	err = pktgen_command(thread, "add_device %s", dev);
	if (!err)
		err = pktgen_command(dev, "pkt_size %u", conf->size);
	if (!err)
		err = pktgen_command(dev, "delay 0");
	if (!err)
		err = pktgen_command(dev, "dst_mac " PKTGEN_DST_MAC);
	if (!err)
		err = pktgen_command(dev, "dst 10.0.0.2");
	/* The threads are told apart by their port: two flows for a qdisc. */
	if (!err)
		err = pktgen_command(dev, "udp_src_min %u", 9000 + t);
	if (!err)
		err = pktgen_command(dev, "udp_src_max %u", 9000 + t);
	if (!err && conf->unshared)
		err = pktgen_command(dev, "flag !SHARED");
	if (!err && conf->queue_xmit)
		err = pktgen_command(dev, "xmit_mode queue_xmit");
	return err;
}

int pktgen_setup(const struct pktgen_conf *conf)
{
	unsigned int t;
	int err;

	for (t = 0; t < conf->threads; t++) {
		err = pktgen_setup_thread(conf, t);
		if (err)
			return err;
	}
	return pktgen_set_count(conf, conf->count);
}

int pktgen_stop(void)
{
	return pktgen_command("pgctrl", "stop");
}

static int pktgen_read_thread(const struct pktgen_conf *conf, unsigned int t,
			      struct pktgen_result *res)
{
	char path[128], dev[32], line[256];
	unsigned long long sent, errors;
	bool found = false;
	FILE *f;

	pktgen_dev_file(conf, t, dev, sizeof(dev));
	snprintf(path, sizeof(path), PKTGEN_DIR "/%s", dev);
	f = fopen(path, "re");
	if (!f)
		return -errno;
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, " pkts-sofar: %llu errors: %llu",
			   &sent, &errors) == 2) {
			res->sent += sent;
			res->errors += errors;
			found = true;
		}
		if (!strncmp(line, "Result: Starting", 16))
			res->running = true;
		/* What the last command on it has left there. */
		if (!strncmp(line, "Result: OK: count=", 18))
			res->begun = false;
	}
	fclose(f);
	return found ? 0 : -EPROTO;
}

int pktgen_read(const struct pktgen_conf *conf, struct pktgen_result *res)
{
	unsigned int t;
	int err;

	*res = (struct pktgen_result) { .begun = true };
	for (t = 0; t < conf->threads; t++) {
		err = pktgen_read_thread(conf, t, res);
		if (err)
			return err;
	}
	return 0;
}

/*
 * The command waits for threads that run, after 125 ms in which they ought to
 * have begun: without one that was held up it returns too early.
 */
int pktgen_start(const struct pktgen_conf *conf)
{
	int err = pktgen_command("pgctrl", "start");
	struct pktgen_result res;
	struct stall st;

	stall_start(&st, BEGIN_MS);
	while (!err) {
		err = pktgen_read(conf, &res);
		if (err || (res.begun && !res.running))
			break;
		if (!res.begun && stall_over(&st))
			err = -ETIMEDOUT;
		usleep(LOOK_US);
	}
	return err;
}

int pktgen_cleanup(void)
{
	return pktgen_command("pgctrl", "reset");
}

void pktgen_others(struct pktgen_tasks *others)
{
	others->n = tasks_find("/proc", PKTGEN_THREAD "*", others->tid,
			       PKTGEN_TASKS_MOST);
}

static bool among(const struct pktgen_tasks *tasks, int tid)
{
	unsigned int i;

	for (i = 0; i < tasks->n; i++)
		if (tasks->tid[i] == tid)
			return true;
	return false;
}

void pktgen_ours(const struct pktgen_conf *conf,
		 const struct pktgen_tasks *others, struct pktgen_tasks *ours)
{
	unsigned int c, i, found, cpus = (unsigned int)sysconf(_SC_NPROCESSORS_ONLN);
	int tid[PKTGEN_TASKS_MOST];
	char name[32];

	ours->n = 0;
	for (c = 0; c < min(conf->threads, cpus); c++) {
		snprintf(name, sizeof(name), PKTGEN_THREAD "%u",
			 (conf->first_cpu + c) % cpus);
		found = tasks_find("/proc", name, tid, ARRAY_SIZE(tid));
		for (i = 0; i < found; i++)
			if (!among(others, tid[i]))
				ours->tid[ours->n++] = tid[i];
	}
	if (ours->n != c)
		ktap_bail("%u threads of pktgen, not %u", ours->n, c);
}
