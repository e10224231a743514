/*
 * Labels: what a user says about a thing, sorted by key.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "spaces/spaces.h"

#include "base/alloc.h"
#include "base/error.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Where @key is, or belongs. */
static size_t labels_place(const struct msn_labels *l, const char *key,
			   bool *there)
{
	size_t low = 0, high = l->count;

	while (low < high) {
		size_t mid = (low + high) / 2;
		int order = strcmp(l->at[mid].key, key);

		if (order == 0) {
			*there = true;
			return mid;
		}
		if (order < 0)
			low = mid + 1;
		else
			high = mid;
	}
	*there = false;
	return low;
}

static int bad_label(struct msn_status *why, const char *key, const char *wrong)
{
	msn_status_set(why, MSN_CODE_INVALID_ARGUMENT, "INVALID_LABEL",
		       "label '%.80s' %s", key, wrong);
	return -EINVAL;
}

static int check_label(const struct msn_labels *l, const char *key,
		       const char *value, bool there, struct msn_status *why)
{
	if (!*key)
		return bad_label(why, key, "has an empty key");
	if (strlen(key) > MSN_LABEL_KEY_MAX)
		return bad_label(why, key, "has a key of more than 63 bytes");
	for (const char *c = key; *c; c++)
		if ((unsigned char)*c <= ' ' || strchr("=,*", *c) || *c == 0x7f)
			return bad_label(why, key,
					 "has a character in its key that a "
					 "filter could not name");
	if (strlen(value) > MSN_LABEL_VALUE_MAX)
		return bad_label(why, key, "has a value of more than 4 KiB");
	if (!there && l->count == MSN_LABELS_MAX)
		return bad_label(why, key, "is one more than 64");
	return 0;
}

int msn_labels_set(struct msn_labels *l, const char *key, const char *value,
		   struct msn_status *why)
{
	msn_auto(msn_freep) char *copy = NULL;
	msn_auto(msn_freep) char *key_copy = NULL;
	struct msn_label_pair *grown;
	bool there;
	size_t at = labels_place(l, key, &there);
	int rc = check_label(l, key, value, there, why);

	if (rc)
		return msn_pass(rc);
	copy = msn_strdup(value);
	if (!copy)
		return msn_fail(-ENOMEM);
	if (there) {
		free(l->at[at].value);
		l->at[at].value = msn_steal(copy);
		return 0;
	}
	key_copy = msn_strdup(key);
	grown = key_copy
			? msn_realloc_array(l->at, l->count + 1, sizeof(*l->at))
			: NULL;
	if (!grown)
		return msn_fail(-ENOMEM);
	l->at = grown;
	memmove(&grown[at + 1], &grown[at], (l->count - at) * sizeof(*grown));
	grown[at] =
		(struct msn_label_pair){ msn_steal(key_copy), msn_steal(copy) };
	l->count++;
	return 0;
}

void msn_labels_unset(struct msn_labels *l, const char *key)
{
	bool there;
	size_t at = labels_place(l, key, &there);

	if (!there)
		return;
	free(l->at[at].key);
	free(l->at[at].value);
	l->count--;
	memmove(&l->at[at], &l->at[at + 1], (l->count - at) * sizeof(*l->at));
}

const char *msn_labels_find(const struct msn_labels *l, const char *key)
{
	bool there;
	size_t at = labels_place(l, key, &there);

	return there ? l->at[at].value : NULL;
}

int msn_labels_copy(struct msn_labels *out, const struct msn_labels *from)
{
	struct msn_labels copy = { 0 };

	copy.at = from->count ? msn_alloc_array(from->count, sizeof(*copy.at))
			      : NULL;
	if (from->count && !copy.at)
		return msn_fail(-ENOMEM);
	for (; copy.count < from->count; copy.count++) {
		struct msn_label_pair *to = &copy.at[copy.count];

		to->key = msn_strdup(from->at[copy.count].key);
		to->value = msn_strdup(from->at[copy.count].value);
		if (to->key && to->value)
			continue;
		free(to->key);
		free(to->value);
		msn_labels_deinit(&copy);
		return msn_fail(-ENOMEM);
	}
	*out = copy;
	return 0;
}

void msn_labels_deinit(struct msn_labels *l)
{
	for (size_t i = 0; i < l->count; i++) {
		free(l->at[i].key);
		free(l->at[i].value);
	}
	free(l->at);
	*l = (struct msn_labels){ 0 };
}
