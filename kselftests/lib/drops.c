// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "drops.h"
#include "ktap.h"

#define TRACEFS "/sys/kernel/tracing"
#define EVENT "events/skb/kfree_skb"
#define TELL_MOST 50

static char instance[64];

static void put(const char *file, const char *text)
{
	char path[160];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", instance, file);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		ktap_bail("%s: %s", path, strerror(errno));
	close(fd);
}

static FILE *get(const char *file)
{
	char path[160];
	FILE *in;

	snprintf(path, sizeof(path), "%s/%s", instance, file);
	in = fopen(path, "re");
	if (!in)
		ktap_bail("%s: %s", path, strerror(errno));
	return in;
}

/* The format lists the reasons as { NUMBER, "NAME" }. */
static unsigned int reason_number(const char *reason)
{
	FILE *in = get(EVENT "/format");
	char *line = NULL, *at = NULL;
	char name[64];
	size_t size = 0;
	unsigned int number = 0;

	snprintf(name, sizeof(name), "\"%s\"", reason);
	while (!at && getline(&line, &size, in) > 0)
		at = strstr(line, name);
	while (at && at > line && *at != '{')
		at--;
	if (!at || sscanf(at, "{ %u,", &number) != 1)
		ktap_bail("no drop reason %s in the kernel's format", reason);
	free(line);
	fclose(in);
	return number;
}

static void make_instance(void)
{
	static int at_exit_done;

	if (access(TRACEFS "/instances", F_OK))
		mount("tracefs", TRACEFS, "tracefs", 0, NULL);
	snprintf(instance, sizeof(instance), TRACEFS "/instances/kseries-%d",
		 (int)getpid());
	if (mkdir(instance, 0700)) {
		ktap_diag("%s: %s", instance, strerror(errno));
		instance[0] = '\0';
		ktap_bail("tracefs is needed to count drops");
	}
	if (!at_exit_done++)
		atexit(drops_stop);
}

static void start(const char *field, unsigned int value)
{
	char filter[32];

	snprintf(filter, sizeof(filter), "%s == %u", field, value);
	put(EVENT "/filter", filter);
	put(EVENT "/enable", "1");
}

void drops_start(const char *reason)
{
	make_instance();
	start("reason", reason_number(reason));
}

void drops_start_of(u16 protocol)
{
	make_instance();
	start("protocol", protocol);
}

struct events {
	u64 kept, lost;
};

static void add_cpu(struct events *ev, FILE *in)
{
	unsigned long long value;
	char line[128];

	while (fgets(line, sizeof(line), in))
		if (sscanf(line, "entries: %llu", &value) == 1)
			ev->kept += value;
		else if (sscanf(line, "overrun: %llu", &value) == 1 ||
			 sscanf(line, "dropped events: %llu", &value) == 1)
			ev->lost += value;
}

static struct events count_events(void)
{
	long cpu, cpus = sysconf(_SC_NPROCESSORS_CONF);
	struct events ev = {};
	char path[64];
	FILE *in;

	for (cpu = 0; cpu < cpus; cpu++) {
		snprintf(path, sizeof(path), "per_cpu/cpu%ld/stats", cpu);
		in = get(path);
		add_cpu(&ev, in);
		fclose(in);
	}
	return ev;
}

/* Overwritten events count too, so a small buffer does not lose any. */
u64 drops_count(void)
{
	struct events ev = count_events();

	return ev.kept + ev.lost;
}

/* The next line of a trace that is an event. */
static bool next_event(FILE *in, char **line, size_t *size)
{
	while (getline(line, size, in) > 0)
		if (**line != '#')
			return true;
	return false;
}

u64 drops_count_at(const char *text)
{
	u64 sum = 0, lost = count_events().lost;
	char *line = NULL;
	size_t size = 0;
	FILE *in;

	if (lost)
		ktap_bail("%llu drops overwritten: trace_buf_size is too small",
			  (unsigned long long)lost);
	in = get("trace");
	while (next_event(in, &line, &size))
		if (strstr(line, text))
			sum++;
	free(line);
	fclose(in);
	return sum;
}

void drops_tell(void)
{
	char *line = NULL, *at;
	size_t size = 0;
	FILE *in = get("trace");
	u64 n = 0;

	while (next_event(in, &line, &size)) {
		at = strstr(line, "kfree_skb: ");
		if (at && n++ < TELL_MOST)
			ktap_diag("freed: %.*s", (int)strcspn(at, "\n"), at);
	}
	if (n > TELL_MOST)
		ktap_diag("freed: %llu more", n - TELL_MOST);
	free(line);
	fclose(in);
}

void drops_stop(void)
{
	char path[160];
	int fd;

	if (!instance[0])
		return;
	snprintf(path, sizeof(path), "%s/%s/enable", instance, EVENT);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd >= 0) {
		if (write(fd, "0", 1) < 0)
			ktap_diag("%s: %s", path, strerror(errno));
		close(fd);
	}
	if (rmdir(instance))
		ktap_diag("%s stays: %s", instance, strerror(errno));
	instance[0] = '\0';
}
