// SPDX-License-Identifier: GPL-2.0-only
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ktap.h"
#include "load.h"
#include "task.h"

static bool is_named(const char *dir, const char *tid, const char *name)
{
	size_t len = strlen(name);
	char path[64], comm[64];
	bool found = false;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%.16s/comm", dir, tid);
	f = fopen(path, "re");
	if (!f)
		return false;	/* gone meanwhile */
	if (fgets(comm, sizeof(comm), f)) {
		comm[strcspn(comm, "\n")] = '\0';
		found = name[len - 1] == '*' ? !strncmp(comm, name, len - 1) :
					       !strcmp(comm, name);
	}
	fclose(f);
	return found;
}

unsigned int tasks_find(const char *dir, const char *name, int *tid,
			unsigned int most)
{
	DIR *all = opendir(dir);
	struct dirent *entry;
	unsigned int n = 0;

	if (!all)
		ktap_bail("%s: %s", dir, strerror(errno));
	while (n < most && (entry = readdir(all))) {
		if (atoi(entry->d_name) > 0 && is_named(dir, entry->d_name, name))
			tid[n++] = atoi(entry->d_name);
	}
	closedir(all);
	return n;
}

u64 task_switches(int tid)
{
	unsigned long long value, sum = 0;
	char path[64], line[256];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", tid);
	f = fopen(path, "re");
	if (!f)
		ktap_bail("%s: %s", path, strerror(errno));
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "voluntary_ctxt_switches: %llu", &value) == 1 ||
		    sscanf(line, "nonvoluntary_ctxt_switches: %llu", &value) == 1)
			sum += value;
	fclose(f);
	return sum;
}

/* In /proc/TID/stat it is behind the name in its brackets. */
char task_state(int tid)
{
	char path[32], buf[256], *at;
	ssize_t len;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/stat", tid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	len = fd < 0 ? -1 : read(fd, buf, sizeof(buf) - 1);
	if (len < 0)
		ktap_bail("%s: %s", path, strerror(errno));
	close(fd);
	buf[len] = '\0';
	at = strrchr(buf, ')');
	return at && at[1] ? at[2] : '?';
}

static void interrupted(int sig)
{
	(void)sig;
}

void task_interrupt_by(int sig)
{
	/* No SA_RESTART: it is there to interrupt. */
	const struct sigaction sa = { .sa_handler = interrupted };

	if (sigaction(sig, &sa, NULL))
		ktap_bail("signal %d: %s", sig, strerror(errno));
}

bool task_sleeps(const int *tid)
{
	int known = shared_get(*tid);

	return known && task_state(known) == 'S';
}
