/*
 * Numbers and words.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "types.h"

#include "base/alloc.h"
#include "base/error.h"

#include <errno.h>
#include <grp.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int msn_config_wrong(char wrong[WRONG_MAX], const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(wrong, WRONG_MAX, fmt, args);
	va_end(args);
	return -EINVAL;
}

bool msn_config_take_digits(const char **text, uint64_t *out)
{
	const char *at = *text;
	uint64_t value = 0;

	for (; *at >= '0' && *at <= '9'; at++)
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(*at - '0'),
					   &value))
			return false;
	if (at == *text)
		return false;
	*text = at;
	*out = value;
	return true;
}

/* ---- Numbers ------------------------------------------------------------ */

struct unit {
	const char *name;
	uint64_t factor;
};

static const struct unit size_units[] = {
	{ "", 1 },
	{ "K", UINT64_C(1) << 10 },
	{ "M", UINT64_C(1) << 20 },
	{ "G", UINT64_C(1) << 30 },
	{ "T", UINT64_C(1) << 40 },
	{},
};
static const struct unit duration_units[] = {
	{ "ms", 1 },	  { "s", 1000 },     { "min", 60000 },
	{ "h", 3600000 }, { "d", 86400000 }, {},
};

/* A bound as people write it: in the largest unit that divides it. */
static void show(char *out, size_t size, uint64_t value,
		 const struct unit *units)
{
	const struct unit *best = units;

	for (const struct unit *u = units; u && u->name; u++)
		if (value % u->factor == 0 && value >= u->factor)
			best = u;
	snprintf(out, size, "%" PRIu64 "%s",
		 best ? value / best->factor : value, best ? best->name : "");
}

static int check_bounds(const struct msn_config_setting *s, uint64_t value,
			const struct unit *units, char wrong[WRONG_MAX])
{
	char low[32], high[32];

	if (!s->max || (value >= s->min && value <= s->max))
		return 0;
	show(low, sizeof(low), s->min, units);
	show(high, sizeof(high), s->max, units);
	return msn_config_wrong(wrong, "is out of bounds: from %s to %s", low,
				high);
}

static int parse_number(const struct msn_config_setting *s, const char *text,
			void *out, char wrong[WRONG_MAX])
{
	uint64_t value;

	if (!msn_config_take_digits(&text, &value) || *text)
		return msn_config_wrong(
			wrong, "is no number: digits and nothing else");
	if (check_bounds(s, value, NULL, wrong))
		return -EINVAL;
	*(uint64_t *)out = value;
	return 0;
}

static int parse_limit(const struct msn_config_setting *s, const char *text,
		       void *out, char wrong[WRONG_MAX])
{
	uint64_t value;

	if (strcmp(text, "unlimited") == 0) {
		*(uint64_t *)out = MSN_CONFIG_UNLIMITED;
		return 0;
	}
	if (!msn_config_take_digits(&text, &value) || *text)
		return msn_config_wrong(wrong,
					"is no limit: a number, or unlimited");
	if (check_bounds(s, value, NULL, wrong))
		return -EINVAL;
	*(uint64_t *)out = value;
	return 0;
}

/* The unit that *@text begins with, letters being equal; it is taken off. */
static const struct unit *take_unit(const char **text, const struct unit *units)
{
	size_t len = strspn(*text, "abcdefghijklmnopqrstuvwxyz"
				   "ABCDEFGHIJKLMNOPQRSTUVWXYZ");

	for (; units->name; units++) {
		if (strlen(units->name) == len &&
		    strncasecmp(*text, units->name, len) == 0) {
			*text += len;
			return units;
		}
	}
	return NULL;
}

/* Digits and a unit, at the start of *@text; false: not that, or too much. */
static bool take_measure(const char **text, const struct unit *units,
			 uint64_t *out)
{
	const struct unit *unit;

	if (!msn_config_take_digits(text, out))
		return false;
	unit = take_unit(text, units);
	return unit && !__builtin_mul_overflow(*out, unit->factor, out);
}

static int parse_size(const struct msn_config_setting *s, const char *text,
		      void *out, char wrong[WRONG_MAX])
{
	uint64_t value;

	if (!take_measure(&text, size_units, &value) || *text)
		return msn_config_wrong(wrong, "is no size: a number of bytes, "
					       "or with K, M, G or T");
	if (check_bounds(s, value, size_units, wrong))
		return -EINVAL;
	*(uint64_t *)out = value;
	return 0;
}

static int parse_size_limit(const struct msn_config_setting *s,
			    const char *text, void *out, char wrong[WRONG_MAX])
{
	if (strcmp(text, "unlimited") == 0) {
		*(uint64_t *)out = MSN_CONFIG_UNLIMITED;
		return 0;
	}
	if (parse_size(s, text, out, wrong) == 0)
		return 0;
	if (strstr(wrong, "is no size"))
		return msn_config_wrong(wrong,
					"is no size: a number of bytes, or "
					"with K, M, G or T, or unlimited");
	return -EINVAL;
}

static int parse_duration(const struct msn_config_setting *s, const char *text,
			  void *out, char wrong[WRONG_MAX])
{
	uint64_t sum = 0, value;

	do {
		if (!take_measure(&text, duration_units, &value) ||
		    __builtin_add_overflow(sum, value, &sum))
			return msn_config_wrong(
				wrong, "is no duration: a number with ms, s, "
				       "min, h or d, or several: 1h 30min");
		text += strspn(text, " ");
	} while (*text);
	if (check_bounds(s, sum, duration_units, wrong))
		return -EINVAL;
	*(uint64_t *)out = sum;
	return 0;
}

static int parse_mode(const struct msn_config_setting *s, const char *text,
		      void *out, char wrong[WRONG_MAX])
{
	size_t len = strlen(text);

	(void)s;
	if (len < 3 || len > 4 || text[strspn(text, "01234567")] ||
	    (len == 4 && *text != '0'))
		return msn_config_wrong(wrong,
					"is no mode: three octal digits, "
					"such as 0660");
	*(uint64_t *)out = strtoul(text, NULL, 8);
	return 0;
}

/* ---- Words -------------------------------------------------------------- */

static int parse_bool(const struct msn_config_setting *s, const char *text,
		      void *out, char wrong[WRONG_MAX])
{
	static const char *const words[] = { "no",  "yes", "false", "true",
					     "off", "on",  "0",	    "1" };

	(void)s;
	for (size_t i = 0; i < MSN_ARRAY_LEN(words); i++) {
		if (strcasecmp(text, words[i]) == 0) {
			*(bool *)out = i % 2;
			return 0;
		}
	}
	return msn_config_wrong(wrong, "is neither yes nor no");
}

/* One of the words that @name gives from @first on, to the first NULL. */
static int parse_word(const char *text, const char *(*name)(unsigned),
		      unsigned first, uint64_t *out, char wrong[WRONG_MAX])
{
	char all[100] = "";

	for (unsigned i = first; name(i); i++) {
		size_t used = strlen(all);

		if (strcmp(text, name(i)) == 0) {
			*out = i;
			return 0;
		}
		snprintf(all + used, sizeof(all) - used, "%s%s",
			 used ? ", " : "", name(i));
	}
	return msn_config_wrong(wrong, "is none of %s", all);
}

static const char *format_name(unsigned i)
{
	return msn_log_format_name((enum msn_log_format)i);
}

static const char *level_name(unsigned i)
{
	return msn_log_level_name((enum msn_log_level)i);
}

static int parse_log_format(const struct msn_config_setting *s,
			    const char *text, void *out, char wrong[WRONG_MAX])
{
	(void)s;
	return parse_word(text, format_name, MSN_LOG_AUTO, out, wrong);
}

static int parse_log_level(const struct msn_config_setting *s, const char *text,
			   void *out, char wrong[WRONG_MAX])
{
	(void)s;
	return parse_word(text, level_name, MSN_LOG_ERROR, out, wrong);
}

/* ---- Users and groups --------------------------------------------------- */

/* A number that is an id; (uint32_t)-1 is none. */
static bool find_number(const char *text, uint32_t *id)
{
	uint64_t value;

	if (!msn_config_take_digits(&text, &value) || *text ||
	    value >= UINT32_MAX)
		return false;
	*id = (uint32_t)value;
	return true;
}

/* Room for an entry of the user or group data base, members included. */
#define ENTRY_BYTES ((size_t)1 << 20)

int msn_config_find_user(const char *text, uint32_t *id)
{
	msn_auto(msn_freep) char *room = NULL;
	struct passwd entry, *found = NULL;

	if (find_number(text, id))
		return 0;
	room = msn_alloc(ENTRY_BYTES);
	if (!room)
		return msn_fail(-ENOMEM);
	if (getpwnam_r(text, &entry, room, ENTRY_BYTES, &found) || !found)
		return -ENOENT;
	*id = found->pw_uid;
	return 0;
}

int msn_config_find_group(const char *text, uint32_t *id)
{
	msn_auto(msn_freep) char *room = NULL;
	struct group entry, *found = NULL;

	if (find_number(text, id))
		return 0;
	room = msn_alloc(ENTRY_BYTES);
	if (!room)
		return msn_fail(-ENOMEM);
	if (getgrnam_r(text, &entry, room, ENTRY_BYTES, &found) || !found)
		return -ENOENT;
	*id = found->gr_gid;
	return 0;
}

static int parse_group(const struct msn_config_setting *s, const char *text,
		       void *out, char wrong[WRONG_MAX])
{
	uint32_t id = MSN_CONFIG_NO_GROUP;
	int rc = *text ? msn_config_find_group(text, &id) : 0;

	(void)s;
	if (rc == -ENOENT)
		return msn_config_wrong(wrong, "is no group of this host, by "
					       "name or number");
	if (rc == 0)
		*(gid_t *)out = id;
	return msn_pass(rc);
}

#define NUMERIC(type, arg, fn)                                                 \
	const struct msn_config_type type = { .argument = arg,                 \
					      .size = sizeof(uint64_t),        \
					      .parse = fn }

NUMERIC(msn_config_number, "NUMBER", parse_number);
NUMERIC(msn_config_limit, "LIMIT", parse_limit);
NUMERIC(msn_config_size, "SIZE", parse_size);
NUMERIC(msn_config_size_limit, "SIZE", parse_size_limit);
NUMERIC(msn_config_duration, "DURATION", parse_duration);
NUMERIC(msn_config_mode, "MODE", parse_mode);
NUMERIC(msn_config_log_format, "FORMAT", parse_log_format);
NUMERIC(msn_config_log_level, "LEVEL", parse_log_level);
const struct msn_config_type msn_config_bool = { .argument = "YES|NO",
						 .size = sizeof(bool),
						 .parse = parse_bool };
const struct msn_config_type msn_config_group = { .argument = "GROUP",
						  .size = sizeof(gid_t),
						  .parse = parse_group };
