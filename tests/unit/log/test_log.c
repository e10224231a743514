/*
 * Log: levels that expire, rates, slow and lost readers, many threads.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "log/level.h"
#include "log/log.h"
#include "reader.h"
#include "support/check.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIPE_LINES 2000 /* more than a pipe holds */

static struct msn_log_message often = {
	.id = "auth.often",
	.text = "it happened",
	.level = MSN_LOG_WARNING,
	.component = MSN_LOG_AUTH,
	.burst = UINT32_MAX,
};

/* ---- A log of the test's own -------------------------------------------- */

struct scene {
	int out[2]; /* [0] is read */
	char *text; /* read so far, zero terminated */
	size_t len;
};

static uint64_t now_ms;

static uint64_t test_clock(void)
{
	return now_ms;
}

static void scene_open(struct scene *s, enum msn_log_format format)
{
	struct msn_log_opts opts = { .format = format, .level = MSN_LOG_INFO };

	*s = (struct scene){ .out = { -1, -1 } };
	CHECK(pipe2(s->out, O_CLOEXEC) == 0);
	CHECK(fcntl(s->out[0], F_SETFL, O_NONBLOCK) == 0);
	opts.fd = s->out[1];
	CHECK(msn_log_start(&opts, NULL) == 0);
	now_ms = 5000000;
	msn_log_clock_ms = test_clock;
}

/* Takes in what is there, without waiting. */
static void scene_read(struct scene *s)
{
	for (;;) {
		ssize_t n;

		s->text = realloc(s->text, s->len + 65537);
		CHECK(s->text);
		n = read(s->out[0], s->text + s->len, 65536);
		if (n <= 0)
			break;
		s->len += (size_t)n;
	}
	s->text[s->len] = '\0';
}

static void scene_close(struct scene *s)
{
	msn_log_stop();
	close(s->out[0]);
	close(s->out[1]);
	free(s->text);
}

/* Line @nth of what was read, as its fields; NULL past the last. */
static json_t *scene_line(const struct scene *s, size_t nth)
{
	const char *at = s->text;

	for (const char *end; at && (end = strchr(at, '\n')); at = end + 1)
		if (nth-- == 0)
			return read_logfmt(at, (size_t)(end - at));
	return NULL;
}

static size_t scene_lines(const struct scene *s)
{
	size_t n = 0;

	for (size_t i = 0; i < s->len; i++)
		n += s->text[i] == '\n';
	return n;
}

static bool scene_has(const struct scene *s, const char *text)
{
	return strstr(s->text, text);
}

/* ---- Levels ------------------------------------------------------------- */

static struct msn_log_message told_in_debug = {
	.id = "wire.frame",
	.text = "a frame",
	.level = MSN_LOG_DEBUG,
	.component = MSN_LOG_WIRE,
};

static void a_level_counts_for_its_component_alone(void)
{
	struct scene s;

	scene_open(&s, MSN_LOG_LOGFMT);
	EXPECT(msn_log_set_level(MSN_LOG_WIRE, MSN_LOG_DEBUG, 0) ==
	       MSN_LOG_INFO);
	EXPECT(msn_log_set_level(MSN_LOG_AUTH, MSN_LOG_ERROR, 0) ==
	       MSN_LOG_INFO);
	msn_log(&told_in_debug);
	msn_log(&often);
	scene_read(&s);
	EXPECT(scene_lines(&s) == 1 && scene_has(&s, "id=wire.frame"));
	scene_close(&s);
	EXPECT(msn_log_level(MSN_LOG_WIRE) == MSN_LOG_INFO);
}

static void a_level_for_a_while_ends_by_itself(void)
{
	struct scene s;

	scene_open(&s, MSN_LOG_LOGFMT);
	EXPECT(msn_log_set_level(MSN_LOG_WIRE, MSN_LOG_WARNING, 0) ==
	       MSN_LOG_INFO);
	EXPECT(msn_log_set_level(MSN_LOG_WIRE, MSN_LOG_DEBUG, 60000) ==
	       MSN_LOG_WARNING);
	now_ms += 59999;
	EXPECT(msn_log_wanted(&told_in_debug));
	/* Another while starts from what was set to stay. */
	EXPECT(msn_log_set_level(MSN_LOG_WIRE, MSN_LOG_ERROR, 1000) ==
	       MSN_LOG_DEBUG);
	EXPECT(msn_log_level(MSN_LOG_WIRE) == MSN_LOG_ERROR);
	now_ms += 1000;
	EXPECT(msn_log_level(MSN_LOG_WIRE) == MSN_LOG_WARNING);
	EXPECT(!msn_log_wanted(&told_in_debug));
	msn_log_set_level(MSN_LOG_WIRE, MSN_LOG_DEBUG, UINT64_MAX);
	now_ms += UINT64_C(1) << 50;
	EXPECT(msn_log_wanted(&told_in_debug));
	scene_close(&s);
}

static void setting_all_levels_tells_the_one_that_told_most(void)
{
	struct scene s;

	scene_open(&s, MSN_LOG_LOGFMT);
	msn_log_set_level(MSN_LOG_RPC, MSN_LOG_DEBUG, 0);
	EXPECT(msn_log_set_level(MSN_LOG_ALL, MSN_LOG_ERROR, 0) ==
	       MSN_LOG_DEBUG);
	for (unsigned c = 0; c < MSN_LOG_COMPONENTS; c++)
		EXPECT(msn_log_level(c) == MSN_LOG_ERROR);
	scene_close(&s);
}

static void names_are_found_again(void)
{
	enum msn_log_component c;
	enum msn_log_level l;

	for (unsigned i = 0; i < MSN_LOG_COMPONENTS; i++) {
		CHECK(msn_log_component_find(msn_log_component_name(i), &c));
		EXPECT(c == i);
	}
	for (unsigned i = MSN_LOG_ERROR; i <= MSN_LOG_DEBUG; i++) {
		CHECK(msn_log_level_find(msn_log_level_name(i), &l));
		EXPECT(l == i);
	}
	EXPECT(!msn_log_component_find("wires", &c));
	EXPECT(!msn_log_level_find("loud", &l));
	EXPECT(!msn_log_level_name(MSN_LOG_DEBUG + 1));
	EXPECT(!msn_log_format_name(MSN_LOG_JSON + 1));
}

static unsigned evaluated;

static const char *evaluate(void)
{
	evaluated++;
	return "x";
}

static void fields_of_an_unwanted_message_are_not_computed(void)
{
	struct scene s;

	scene_open(&s, MSN_LOG_LOGFMT);
	msn_log(&told_in_debug, msn_log_text("why", evaluate()));
	EXPECT(evaluated == 0);
	msn_log_set_level(MSN_LOG_WIRE, MSN_LOG_DEBUG, 0);
	msn_log(&told_in_debug, msn_log_text("why", evaluate()));
	EXPECT(evaluated == 1);
	scene_close(&s);
}

/* ---- Rates -------------------------------------------------------------- */

static void a_message_that_comes_too_often_is_counted(void)
{
	static struct msn_log_message m = {
		.id = "auth.refused",
		.text = "caller refused",
		.level = MSN_LOG_WARNING,
		.component = MSN_LOG_AUTH,
	};
	struct scene s;
	json_t *last;

	scene_open(&s, MSN_LOG_LOGFMT);
	for (int i = 0; i < MSN_LOG_BURST + 15; i++)
		msn_log(&m, msn_log_signed("turn", i));
	msn_log(&often); /* others are not held back */
	scene_read(&s);
	EXPECT(scene_lines(&s) == MSN_LOG_BURST + 1);

	now_ms += MSN_LOG_WINDOW_S * 1000;
	msn_log(&m, msn_log_signed("turn", 99));
	scene_read(&s);
	last = scene_line(&s, MSN_LOG_BURST + 1);
	CHECK(last);
	EXPECT(strcmp(field(last, "dropped"), "15") == 0);
	EXPECT(strcmp(field(last, "turn"), "99") == 0);
	json_decref(last);
	scene_close(&s);
}

static void what_was_dropped_last_is_told_when_asked(void)
{
	static struct msn_log_message m = {
		.id = "storage.slow",
		.text = "slow",
		.level = MSN_LOG_ERROR,
		.component = MSN_LOG_STORAGE,
		.burst = 1,
	};
	struct scene s;
	json_t *told;

	scene_open(&s, MSN_LOG_LOGFMT);
	for (int i = 0; i < 8; i++)
		msn_log(&m);
	msn_log_tell_dropped();
	msn_log_tell_dropped(); /* once */
	scene_read(&s);
	EXPECT(scene_lines(&s) == 2);
	told = scene_line(&s, 1);
	CHECK(told);
	EXPECT(strcmp(field(told, "id"), "log.dropped") == 0);
	EXPECT(strcmp(field(told, "of"), "storage.slow") == 0);
	EXPECT(strcmp(field(told, "times"), "7") == 0);
	json_decref(told);
	scene_close(&s);
}

static void debug_has_no_rate(void)
{
	struct scene s;

	scene_open(&s, MSN_LOG_LOGFMT);
	msn_log_set_level(MSN_LOG_WIRE, MSN_LOG_DEBUG, 0);
	for (int i = 0; i < 200; i++)
		msn_log(&told_in_debug);
	scene_read(&s);
	EXPECT(scene_lines(&s) == 200);
	scene_close(&s);
}

/* ---- Readers ------------------------------------------------------------ */

/*
 * Nobody reads: if a line were waited for, this would never end.
 */
static void nobody_waits_for_a_reader_and_the_loss_is_told(void)
{
	uint64_t before = msn_log_lost(), lost;
	struct scene s;
	size_t first;
	json_t *told;

	scene_open(&s, MSN_LOG_LOGFMT);
	for (int i = 0; i < PIPE_LINES; i++)
		msn_log(&often, msn_log_signed("turn", i));
	lost = msn_log_lost() - before;
	scene_read(&s);
	first = scene_lines(&s);
	EXPECT(lost > 0 && lost + first == PIPE_LINES);

	msn_log(&often, msn_log_text("why", "after"));
	scene_read(&s);
	told = scene_line(&s, first);
	CHECK(told && scene_lines(&s) == first + 2);
	EXPECT(strcmp(field(told, "id"), "log.lost") == 0);
	EXPECT(strtoull(field(told, "lost"), NULL, 10) == lost);
	EXPECT(scene_has(&s, "why=after\n"));
	json_decref(told);
	scene_close(&s);
}

static void a_reader_that_is_gone_ends_nothing(void)
{
	uint64_t before = msn_log_lost();
	struct sigaction pipe_signal;
	struct scene s;

	scene_open(&s, MSN_LOG_LOGFMT);
	close(s.out[0]);
	msn_log(&often);
	EXPECT(msn_log_lost() == before + 1);
	/* It may also go between the question and the write. */
	CHECK(sigaction(SIGPIPE, NULL, &pipe_signal) == 0);
	EXPECT(pipe_signal.sa_handler == SIG_IGN);
	s.out[0] = -1;
	scene_close(&s);
}

/* A stream socket takes half a line: what it has is whole again later. */
static void half_a_line_is_finished_before_the_next(void)
{
	struct msn_log_opts opts = { .format = MSN_LOG_LOGFMT,
				     .level = MSN_LOG_INFO };
	struct scene s = { .out = { -1, -1 } };
	int size = 1;  /* the least there is */
	char why[500]; /* of bytes that become six */

	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s.out) == 0);
	CHECK(setsockopt(s.out[1], SOL_SOCKET, SO_SNDBUF, &size,
			 sizeof(size)) == 0);
	CHECK(fcntl(s.out[0], F_SETFL, O_NONBLOCK) == 0);
	opts.fd = s.out[1];
	CHECK(msn_log_start(&opts, NULL) == 0);
	memset(why, 1, sizeof(why) - 1);
	for (size_t turn = 1; turn < sizeof(why); turn++) {
		why[turn] = '\0';
		msn_log(&often, msn_log_text("why", why));
		msn_log(&often, msn_log_text("why", why));
		why[turn] = 1;
		if (turn % 7 == 0)
			scene_read(&s);
	}
	scene_read(&s);
	msn_log(&often);
	scene_read(&s);
	EXPECT(scene_lines(&s) > 100);
	for (size_t i = 0; i < scene_lines(&s); i++) {
		json_t *line = scene_line(&s, i);

		CHECK(line);
		json_decref(line);
	}
	scene_close(&s);
}

static void a_file_takes_every_line(void)
{
	struct msn_log_opts opts = { .format = MSN_LOG_JSON,
				     .level = MSN_LOG_INFO };
	FILE *file = tmpfile();
	char text[4096];
	unsigned lines = 0;

	CHECK(file);
	opts.fd = fileno(file);
	CHECK(msn_log_start(&opts, NULL) == 0);
	for (int i = 0; i < 500; i++)
		msn_log(&often, msn_log_signed("turn", i));
	msn_log_stop();
	rewind(file);
	while (fgets(text, sizeof(text), file)) {
		json_t *line = read_json(text, strlen(text) - 1);

		CHECK(line);
		EXPECT(json_integer_value(json_object_get(line, "turn")) ==
		       lines++);
		json_decref(line);
	}
	EXPECT(lines == 500);
	fclose(file);
}

/* ---- Threads ------------------------------------------------------------ */

#define THREADS 4
#define TURNS 2000

static void *write_lines(void *arg)
{
	for (int i = 0; i < TURNS; i++)
		msn_log(&often, msn_log_signed("turn", i),
			msn_log_text("who", arg));
	return NULL;
}

static void *change_levels(void *arg)
{
	(void)arg;
	for (int i = 0; i < TURNS; i++) {
		msn_log_set_level(MSN_LOG_WIRE, MSN_LOG_DEBUG, 1);
		msn_log(&told_in_debug);
		msn_log_tell_dropped();
	}
	return NULL;
}

static void lines_of_many_threads_stay_whole(void)
{
	static char names[THREADS][2] = { "a", "b", "c", "d" };
	uint64_t before = msn_log_lost();
	pthread_t threads[THREADS], levels;
	struct scene s;
	size_t whole = 0;

	scene_open(&s, MSN_LOG_LOGFMT);
	CHECK(pthread_create(&levels, NULL, change_levels, NULL) == 0);
	for (int i = 0; i < THREADS; i++)
		CHECK(pthread_create(&threads[i], NULL, write_lines,
				     names[i]) == 0);
	for (int i = 0; i < THREADS; i++)
		CHECK(pthread_join(threads[i], NULL) == 0);
	CHECK(pthread_join(levels, NULL) == 0);
	scene_read(&s);
	for (const char *at = s.text, *end; (end = strchr(at, '\n'));
	     at = end + 1) {
		json_t *line = read_logfmt(at, (size_t)(end - at));

		CHECK(line);
		whole += *field(line, "who") || *field(line, "id") == 'w';
		json_decref(line);
	}
	EXPECT(s.len == 0 || s.text[s.len - 1] == '\n');
	EXPECT(whole + (msn_log_lost() - before) >= THREADS * TURNS);
	scene_close(&s);
}

/* ---- Where it goes ------------------------------------------------------ */

static void stderr_that_is_no_journal_gets_logfmt(void)
{
	struct scene s;

	setenv("JOURNAL_STREAM", "1:2", 1);
	scene_open(&s, MSN_LOG_AUTO);
	msn_log(&often);
	scene_read(&s);
	EXPECT(scene_has(&s, "ts=") && scene_lines(&s) == 1);
	scene_close(&s);
	unsetenv("JOURNAL_STREAM");
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(a_level_counts_for_its_component_alone),
		CHECK_TEST(a_level_for_a_while_ends_by_itself),
		CHECK_TEST(setting_all_levels_tells_the_one_that_told_most),
		CHECK_TEST(names_are_found_again),
		CHECK_TEST(fields_of_an_unwanted_message_are_not_computed),
		CHECK_TEST(a_message_that_comes_too_often_is_counted),
		CHECK_TEST(what_was_dropped_last_is_told_when_asked),
		CHECK_TEST(debug_has_no_rate),
		CHECK_TEST(nobody_waits_for_a_reader_and_the_loss_is_told),
		CHECK_TEST(a_reader_that_is_gone_ends_nothing),
		CHECK_TEST(half_a_line_is_finished_before_the_next),
		CHECK_TEST(a_file_takes_every_line),
		CHECK_TEST(lines_of_many_threads_stay_whole),
		CHECK_TEST(stderr_that_is_no_journal_gets_logfmt),
		{}
	};

	return check_main(argc, argv, "log", tests);
}
