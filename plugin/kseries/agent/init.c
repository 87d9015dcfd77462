// SPDX-License-Identifier: GPL-2.0-only
/*
 * The first and only process of a guest: runs the programs the host names and
 * says line by line what they print and how they end.
 *
 * From the host, on the virtio port "kseries", a line a request:
 *	run ID DEADLINE_MS PROGRAM [ARG ...]
 *	poweroff
 * PROGRAM is a file in /bin, or @leaks: the agent itself, printing what
 * kmemleak finds.
 * To the host, a line an event:
 *	hello RELEASE
 *	begin ID
 *	out ID TEXT
 *	tick ID GUEST_MS		once a guest second while a program runs
 *	end ID exit|signal|timeout|stuck NUMBER GUEST_MS
 *
 * With a file /batch in the initramfs, PROGRAM ARG ... on each of its lines,
 * nothing comes in from outside: the programs run in turn, the same events go
 * to the console, each after "@kseries ", and the guest powers off.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAX_ARGS 64
#define MAX_LINE 4096
#define BATCH_DEADLINE_MS 600000
/* How long a killed program may take to go before it is called stuck. */
#define KILL_GRACE_MS 3000
#define KMEMLEAK "/sys/kernel/debug/kmemleak"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

static FILE *to_host, *from_host;
static const char *prefix = "";

static long long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

static void say(const char *fmt, ...)
{
	va_list args;

	fputs(prefix, to_host);
	va_start(args, fmt);
	vfprintf(to_host, fmt, args);
	va_end(args);
	fputc('\n', to_host);
	fflush(to_host);
}

static void power_off(void)
{
	sync();
	reboot(RB_POWER_OFF);
	_exit(1);
}

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	if (write(fd, text, strlen(text)) < 0)
		perror(path);
	close(fd);
}

static void mount_all(void)
{
	static const struct {
		const char *where, *type;
	} mounts[] = {
		{ "/proc", "proc" },
		{ "/sys", "sysfs" },
		{ "/dev", "devtmpfs" },
		{ "/tmp", "tmpfs" },
		{ "/run", "tmpfs" },
		{ "/sys/kernel/debug", "debugfs" },
		{ "/sys/kernel/tracing", "tracefs" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(mounts); i++) {
		mkdir(mounts[i].where, 0755);
		mount(mounts[i].type, mounts[i].where, mounts[i].type, 0, NULL);
	}
}

/* Finds the device of the virtio port that the host named "kseries". */
static bool find_port(char *path, size_t size)
{
	DIR *dir = opendir("/sys/class/virtio-ports");
	struct dirent *entry;
	bool found = false;

	while (dir && !found && (entry = readdir(dir))) {
		char name[512], text[32] = "";
		FILE *file;

		snprintf(name, sizeof(name), "/sys/class/virtio-ports/%s/name",
			 entry->d_name);
		file = fopen(name, "re");
		if (!file)
			continue;
		found = fgets(text, sizeof(text), file) &&
			!strcmp(text, "kseries\n");
		fclose(file);
		if (found)
			snprintf(path, size, "/dev/%s", entry->d_name);
	}
	if (dir)
		closedir(dir);
	return found;
}

static bool open_port(void)
{
	char path[PATH_MAX];
	struct timespec pause = { .tv_nsec = 10 * 1000 * 1000 };
	long long deadline = now_ms() + 20000;
	int fd = -1;

	while (fd < 0 && now_ms() < deadline) {
		if (find_port(path, sizeof(path)))
			fd = open(path, O_RDWR | O_CLOEXEC);
		if (fd < 0)
			nanosleep(&pause, NULL); /* the host announces it */
	}
	if (fd < 0)
		return false;
	from_host = fdopen(fd, "re");
	to_host = fdopen(fcntl(fd, F_DUPFD_CLOEXEC, 3), "we");
	return from_host && to_host;
}

/* Passes on what the program prints, whole lines, as they come. */
static bool relay(const char *id, int fd, char *line, size_t *used)
{
	char chunk[MAX_LINE];
	ssize_t got = read(fd, chunk, sizeof(chunk));

	if (got <= 0)
		return got < 0 && (errno == EINTR || errno == EAGAIN);
	for (ssize_t i = 0; i < got; i++) {
		if (chunk[i] != '\n')
			line[(*used)++] = chunk[i];
		if (chunk[i] == '\n' || *used == MAX_LINE - 1) {
			line[*used] = '\0';
			say("out %s %s", id, line);
			*used = 0;
		}
	}
	return true;
}

/*
 * Prints what kmemleak finds once all is quiet. It leaves out what is younger
 * than five seconds; the first scan only takes sums of what is new, the second
 * one reports, and the third takes back what was just on its way.
 */
static int find_leaks(void)
{
	struct timespec quiet = { .tv_sec = 6 };
	char buf[MAX_LINE];
	ssize_t got = -1;
	int fd = open(KMEMLEAK, O_RDWR | O_CLOEXEC);
	bool good = fd >= 0;

	nanosleep(&quiet, NULL);
	for (int i = 0; good && i < 3; i++)
		good = write(fd, "scan", 4) == 4;
	while (good && (got = read(fd, buf, sizeof(buf))) > 0)
		good = fwrite(buf, 1, (size_t)got, stdout) == (size_t)got;
	if (!good || got < 0)
		printf("Bail out! " KMEMLEAK ": %s\n", strerror(errno));
	fflush(stdout);
	return good && !got ? 0 : 2;
}

/* For the plugin of QEMU's that counts instructions: here a program begins. */
static void mark_program(void)
{
#ifdef __x86_64__
	__asm__ volatile(".byte 0x0f, 0x1f, 0x84, 0x00, 'k', 's', 'p', 0"
			 : : : "memory");
#endif
}

static pid_t start(char **argv, int *out)
{
	int pipes[2];
	pid_t pid;

	if (pipe2(pipes, O_CLOEXEC))
		return -1;
	pid = fork();
	if (pid == 0) {
		char path[PATH_MAX];

		setpgid(0, 0);
		dup2(pipes[1], STDOUT_FILENO);
		dup2(pipes[1], STDERR_FILENO);
		if (!strcmp(argv[0], "@leaks"))
			_exit(find_leaks());
		snprintf(path, sizeof(path), "/bin/%s", argv[0]);
		execv(path, argv);
		printf("Bail out! %s: %s\n", path, strerror(errno));
		fflush(stdout);
		_exit(127);
	}
	close(pipes[1]);
	*out = pipes[0];
	return pid;
}

/* Waits for the program, reaping what else was left to init; false when late. */
static bool reap(pid_t pid, int *status, long long deadline)
{
	struct timespec pause = { .tv_nsec = 2 * 1000 * 1000 };

	for (;;) {
		int state;
		pid_t got = waitpid(-1, &state, WNOHANG);

		if (got == pid) {
			*status = state;
			return true;
		}
		if (got > 0)
			continue;
		if (now_ms() >= deadline)
			return false;
		nanosleep(&pause, NULL);
	}
}

static void finish(const char *id, pid_t pid, bool late, long long began)
{
	int status = 0;
	bool gone;

	if (late) {
		/* Who waits for what, for the console log, before it is gone. */
		write_file("/proc/sysrq-trigger", "w");
		kill(-pid, SIGKILL);
	}
	gone = reap(pid, &status, now_ms() + KILL_GRACE_MS);
	kill(-pid, SIGKILL); /* what the program may have left behind */
	if (!gone)
		say("end %s stuck 0 %lld", id, now_ms() - began);
	else if (late)
		say("end %s timeout 0 %lld", id, now_ms() - began);
	else if (WIFSIGNALED(status))
		say("end %s signal %d %lld", id, WTERMSIG(status),
		    now_ms() - began);
	else
		say("end %s exit %d %lld", id, WEXITSTATUS(status),
		    now_ms() - began);
}

static void run(const char *id, long deadline_ms, char **argv)
{
	long long began = now_ms(), next_tick = began + 1000;
	char line[MAX_LINE];
	size_t used = 0;
	bool open = true, late = false;
	int fd;
	pid_t pid;

	say("begin %s", id);
	mark_program();
	pid = start(argv, &fd);
	if (pid < 0) {
		say("out %s Bail out! no process: %s", id, strerror(errno));
		say("end %s exit 127 0", id);
		return;
	}
	while (open && !late) {
		struct pollfd wait = { .fd = fd, .events = POLLIN };
		long long left = next_tick - now_ms();

		if (poll(&wait, 1, left > 0 ? left : 0) > 0)
			open = relay(id, fd, line, &used);
		if (now_ms() >= next_tick) {
			say("tick %s %lld", id, now_ms() - began);
			next_tick += 1000;
		}
		late = now_ms() - began >= deadline_ms;
	}
	if (used) {
		line[used] = '\0';
		say("out %s %s", id, line);
	}
	finish(id, pid, late, began);
	close(fd);
}

static int split(char *text, const char *separators, char **words)
{
	char *rest = text, *word;
	int count = 0;

	while (count < MAX_ARGS - 1 && (word = strsep(&rest, separators)))
		if (*word)
			words[count++] = word;
	words[count] = NULL;
	return count;
}

static void serve(void)
{
	char line[MAX_LINE];

	while (fgets(line, sizeof(line), from_host)) {
		char *words[MAX_ARGS];
		int count = split(line, "\n ", words);

		if (count == 1 && !strcmp(words[0], "poweroff"))
			power_off();
		if (count >= 4 && !strcmp(words[0], "run"))
			run(words[1], strtol(words[2], NULL, 10), words + 3);
	}
}

/* Runs what /batch names, a line a program, and powers off; or returns. */
static void run_batch(void)
{
	char line[MAX_LINE], *words[MAX_ARGS], id[16];
	FILE *file = fopen("/batch", "re");

	if (!file)
		return;
	to_host = stdout;
	prefix = "@kseries ";
	for (int i = 1; fgets(line, sizeof(line), file); i++) {
		snprintf(id, sizeof(id), "%d", i);
		if (split(line, "\n ", words))
			run(id, BATCH_DEADLINE_MS, words);
	}
	power_off();
}

int main(void)
{
	struct rlimit files = { .rlim_cur = 4096, .rlim_max = 4096 };
	struct utsname name;

	mount_all();
	setrlimit(RLIMIT_NOFILE, &files);
	run_batch();
	if (!open_port()) {
		fputs("kseries: no port to the host\n", stderr);
		power_off();
	}
	setvbuf(to_host, NULL, _IOFBF, MAX_LINE * 2);
	uname(&name);
	/* Quiet while booting; from here on a trace needs its lines, at info too. */
	write_file("/proc/sys/kernel/printk", "8");
	say("hello %s", name.release);
	serve();
	power_off();
	return 1;
}
