/*
 * Types of values: how a text becomes one.  Private to this component.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef MSN_CONFIG_TYPES_H
#define MSN_CONFIG_TYPES_H

#include "config/config.h"

/* Room for what is wrong with a value. */
#define WRONG_MAX 200

struct msn_config_type {
	const char *argument; /* for people: "SIZE" */
	size_t size;	      /* of what parse() fills */
	/*
	 * Makes an element of @text, which has no control characters.  0;
	 * -EINVAL with @wrong saying what is wrong and what would be right,
	 * to be read behind the value; -ENOMEM.  @out is filled on success.
	 */
	int (*parse)(const struct msn_config_setting *s, const char *text,
		     void *out, char wrong[WRONG_MAX]);
	void (*release)(void *element); /* or NULL */
};

extern const struct msn_config_type msn_config_bool;   /* bool */
extern const struct msn_config_type msn_config_number; /* uint64_t */
extern const struct msn_config_type msn_config_limit;  /* or unlimited */
extern const struct msn_config_type msn_config_size;   /* bytes */
extern const struct msn_config_type msn_config_size_limit;
extern const struct msn_config_type msn_config_duration;   /* ms */
extern const struct msn_config_type msn_config_mode;	   /* uint64_t */
extern const struct msn_config_type msn_config_group;	   /* gid_t */
extern const struct msn_config_type msn_config_log_format; /* uint64_t */
extern const struct msn_config_type msn_config_log_level;

extern const struct msn_config_type msn_config_path; /* char * */
extern const struct msn_config_type msn_config_path_or_none;
extern const struct msn_config_type msn_config_socket;
extern const struct msn_config_type msn_config_socket_or_none;
/* struct msn_config_address: on loopback; any; loopback or a socket */
extern const struct msn_config_type msn_config_loopback;
extern const struct msn_config_type msn_config_address;
extern const struct msn_config_type msn_config_scrape;
extern const struct msn_config_type msn_config_subject;
extern const struct msn_config_type msn_config_root;

/* ---- What types have in common ------------------------------------------ */

/* Says what is wrong; returns -EINVAL. */
int msn_config_wrong(char wrong[WRONG_MAX], const char *fmt, ...)
	MSN_PRINTF(2, 3);

/* Takes digits off *@text; false when there are none, or too many. */
bool msn_config_take_digits(const char **text, uint64_t *out);

/* The id of a user or group, by number or name; -ENOENT, -ENOMEM. */
MSN_MUST_CHECK int msn_config_find_user(const char *text, uint32_t *id);
MSN_MUST_CHECK int msn_config_find_group(const char *text, uint32_t *id);

/*
 * The next word of *@text into a new string, its escapes undone; *@out is NULL
 * at the end.  -ENOMEM, or -EINVAL for a backslash before anything else than
 * comma, backslash or blank.
 */
int msn_config_take_word(const char **text, char **out, char wrong[WRONG_MAX]);

/* The one word that @text is: as above, and -EINVAL for none or several. */
int msn_config_one_word(const char *text, char **out, char wrong[WRONG_MAX]);

/* Is @path absolute, without dots, doubled slashes or one at the end? */
bool msn_config_is_plain_path(const char *path);

#endif /* MSN_CONFIG_TYPES_H */
