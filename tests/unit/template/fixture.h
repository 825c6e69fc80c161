/* fixture.h: rendering in tests. */
#ifndef SL_TESTS_TEMPLATE_FIXTURE_H
#define SL_TESTS_TEMPLATE_FIXTURE_H

#include "template/template.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static inline sl_template *parsed(const char *text) {
    sl_template *t = NULL;
    sl_error e = {0};
    ck_assert_msg(sl_template_parse(text, strlen(text), &t, &e) == SL_OK, "%s: %s", text, e.message);
    return t;
}

/* JSON written with ' for ", to be read easily. */
static inline json_t *json(const char *text) {
    char *copy = strdup(text);
    for (char *c = copy; *c; c++)
        if (*c == '\'') *c = '"';
    json_t *v = json_loads(copy, JSON_DECODE_ANY, NULL);
    ck_assert_msg(v != NULL, "%s", copy);
    free(copy);
    return v;
}

#endif
