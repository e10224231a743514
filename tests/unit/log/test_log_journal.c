/*
 * The journal: entries as a journal receives them.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * The test is the journal: in a mount namespace of its own it listens where
 * systemd's does.  That needs root.
 */
#include "log/log.h"
#include "support/check.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static int journal = -1;
static char entry[65536];
static ssize_t entry_len;

static struct msn_log_message refused = {
	.id = "auth.refused",
	.text = "caller refused",
	.level = MSN_LOG_WARNING,
	.component = MSN_LOG_AUTH,
	.burst = UINT32_MAX,
};

static void listen_as_journal(void)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX,
				    .sun_path = "/run/systemd/journal/socket" };

	if (geteuid() != 0 || unshare(CLONE_NEWNS) != 0)
		check_skip("no right to make a mount namespace");
	if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
	    mount("tmpfs", "/run", "tmpfs", 0, NULL) != 0)
		check_skip("no right to mount");
	if (mkdir("/run/systemd", 0755) || mkdir("/run/systemd/journal", 0755))
		abort();
	journal = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (bind(journal, (struct sockaddr *)&name, sizeof(name)) != 0)
		abort();
}

static void receive(void)
{
	entry_len = recv(journal, entry, sizeof(entry) - 1, MSG_DONTWAIT);
	CHECK(entry_len > 0);
	entry[entry_len] = '\0';
}

/*
 * The value of a field by the native protocol: KEY=value\n, or KEY\n, a length
 * of 8 bytes, the value and \n.
 */
static const char *value_of(const char *key, size_t *len)
{
	const char *at = entry, *end = entry + entry_len;
	size_t key_len = strlen(key);

	while (at < end) {
		const char *stop = at + strcspn(at, "=\n"), *value = stop + 1;
		bool found = (size_t)(stop - at) == key_len &&
			     !memcmp(at, key, key_len);

		if (*stop == '=') {
			*len = (size_t)((char *)memchr(value, '\n',
						       (size_t)(end - value)) -
					value);
		} else {
			uint64_t le;

			memcpy(&le, value, sizeof(le));
			*len = (size_t)le64toh(le);
			value += sizeof(le);
		}
		if (found)
			return value;
		at = value + *len + 1;
	}
	return NULL;
}

static bool has(const char *key, const char *text)
{
	size_t len;
	const char *value = value_of(key, &len);

	return value && len == strlen(text) && !memcmp(value, text, len);
}

static void start(enum msn_log_format format, int fd)
{
	const struct msn_log_opts opts = { .format = format,
					   .level = MSN_LOG_INFO,
					   .fd = fd };

	CHECK(msn_log_start(&opts, NULL) == 0);
}

static void an_entry_has_the_message_and_every_field(void)
{
	start(MSN_LOG_JOURNAL, 0);
	msn_log(&refused, msn_log_text("owner", "uid:1000"),
		msn_log_text("space", "web"), msn_log_text("snapshot", ""),
		msn_log_text("trace_id", "4bf92f3577b34da6a3ce929d0e0e4736"),
		msn_log_errno(-EACCES), msn_log_seconds("duration", 1500000));
	receive();
	EXPECT(has("MESSAGE", "caller refused: owner=uid:1000 space=web "
			      "trace_id=4bf92f3577b34da6a3ce929d0e0e4736 "
			      "errno=EACCES duration=0.001500"));
	EXPECT(has("PRIORITY", "4"));
	EXPECT(has("SYSLOG_IDENTIFIER", "memsnapd"));
	EXPECT(has("MEMSNAP_COMPONENT", "auth"));
	EXPECT(has("MEMSNAP_ID", "auth.refused"));
	EXPECT(has("MESSAGE_ID", "409d14a0841944f272cdf7525a6a7857"));
	EXPECT(has("OWNER", "uid:1000"));
	EXPECT(has("SPACE", "web"));
	EXPECT(has("TRACE_ID", "4bf92f3577b34da6a3ce929d0e0e4736"));
	EXPECT(has("ERRNO", "13"));
	EXPECT(has("DURATION", "0.001500"));
	EXPECT(!has("SNAPSHOT", ""));
	msn_log_stop();
}

static void a_text_with_lines_stays_one_field(void)
{
	start(MSN_LOG_JOURNAL, 0);
	msn_log(&refused, msn_log_text("why", "one\nPRIORITY=0\nOWNER=root"),
		msn_log_text("owner", "uid:7"));
	receive();
	EXPECT(has("WHY", "one\nPRIORITY=0\nOWNER=root"));
	EXPECT(has("PRIORITY", "4"));
	EXPECT(has("OWNER", "uid:7"));
	EXPECT(has("MESSAGE", "caller refused: "
			      "why=\"one\\nPRIORITY=0\\nOWNER=root\" "
			      "owner=uid:7"));
	msn_log_stop();
}

static void more_than_an_entry_holds_is_left_out(void)
{
	char text[MSN_LOG_LINE_MAX];

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	start(MSN_LOG_JOURNAL, 0);
	msn_log(&refused, msn_log_text("why", text),
		msn_log_text("owner", "uid:7"));
	receive();
	EXPECT(!strstr(entry, "\nWHY="));
	EXPECT(has("OWNER", "uid:7"));
	msn_log_stop();
}

static void stderr_that_leads_to_the_journal_is_known(void)
{
	char text[64];
	struct stat st;
	int fd = memfd_create("stream", MFD_CLOEXEC);

	CHECK(fd >= 0 && fstat(fd, &st) == 0);
	snprintf(text, sizeof(text), "%llu:%llu", (unsigned long long)st.st_dev,
		 (unsigned long long)st.st_ino);
	setenv("JOURNAL_STREAM", text, 1);
	start(MSN_LOG_AUTO, fd);
	msn_log(&refused);
	receive();
	EXPECT(has("MESSAGE", "caller refused"));
	/* Last words go to the descriptor, with the level before them. */
	msn_log_fatal("the end", NULL, 0);
	EXPECT(pread(fd, text, 10, 0) == 10 && !memcmp(text, "<2>ts=", 6));
	msn_log_stop();
	unsetenv("JOURNAL_STREAM");
	close(fd);
}

static void a_journal_that_is_not_there_is_an_error(void)
{
	const struct msn_log_opts opts = { .format = MSN_LOG_JOURNAL };
	struct msn_failure why = { 0 };

	CHECK(unlink("/run/systemd/journal/socket") == 0);
	EXPECT(msn_log_start(&opts, &why) == -ENOENT);
	EXPECT(strcmp(why.text, "cannot log to the journal: No such file or "
				"directory") == 0);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(an_entry_has_the_message_and_every_field),
		CHECK_TEST(a_text_with_lines_stays_one_field),
		CHECK_TEST(more_than_an_entry_holds_is_left_out),
		CHECK_TEST(stderr_that_leads_to_the_journal_is_known),
		CHECK_TEST(a_journal_that_is_not_there_is_an_error),
		{}
	};

	listen_as_journal();
	return check_main(argc, argv, "log_journal", tests);
}
