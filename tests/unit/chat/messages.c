#include "chat/messages.h"

#include <string.h>

#include "../run.h"

/* What templates get of what clients send. */

static sl_json doc, messages;
static sl_error e;

static sl_status ready(const char *text, bool parts, bool developer) {
    if (doc.v) json_decref(doc.v);
    doc.v = NULL;
    ck_assert_msg(sl_json_parse(text, strlen(text), "", &doc, &e) == SL_OK, "%s", e.message);
    ck_assert(sl_json_get(&doc, "messages", &messages));
    return sl_messages_ready(&messages, &(sl_understands){parts, developer}, 10000, &e);
}

static void becomes(const char *list, bool parts, bool developer, const char *want) {
    char text[2000];
    snprintf(text, sizeof text, "{\"messages\":%s}", list);
    ck_assert_msg(ready(text, parts, developer) == SL_OK, "%s: %s", list, e.message);
    json_t *expected = json_loads(want, 0, NULL);
    char *have = json_dumps(messages.v, JSON_COMPACT);
    ck_assert_msg(expected && json_equal(expected, messages.v), "%s: %s", list, have);
    free(have);
    json_decref(expected);
}

START_TEST(shapes) {
    becomes("[{\"role\":\"user\",\"content\":\"a\"}]", false, false, "[{\"role\":\"user\",\"content\":\"a\"}]");
    becomes("[{\"role\":\"developer\",\"content\":\"a\",\"name\":\"b\"}]", false, false, "[{\"role\":\"system\",\"content\":\"a\",\"name\":\"b\"}]");
    becomes("[{\"role\":\"developer\",\"content\":\"a\"}]", false, true, "[{\"role\":\"developer\",\"content\":\"a\"}]");
    becomes("[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"text\",\"text\":\"b\"}]}]", false, false,
            "[{\"role\":\"user\",\"content\":\"a\\nb\"}]");
    becomes("[{\"role\":\"user\",\"content\":[\"a\",{\"type\":\"input_text\",\"text\":\"b\"}]}]", true, false,
            "[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"text\",\"text\":\"b\"}]}]");
    becomes("[{\"role\":\"user\",\"content\":[]}]", true, false, "[{\"role\":\"user\",\"content\":\"\"}]");
    becomes("[{\"role\":\"assistant\",\"content\":null}]", true, false, "[{\"role\":\"assistant\",\"content\":\"\"}]");
    becomes("[{\"role\":\"user\",\"content\":null}]", true, false, "[{\"role\":\"user\",\"content\":\"\"}]");
    becomes("[{\"role\":\"tool\",\"tool_call_id\":\"1\"}]", false, false, "[{\"role\":\"tool\",\"tool_call_id\":\"1\",\"content\":\"\"}]");
    becomes("[{\"role\":\"assistant\",\"refusal\":\"no\"}]", true, false, "[{\"role\":\"assistant\",\"refusal\":\"no\",\"content\":\"no\"}]");
    becomes("[{\"role\":\"assistant\",\"tool_calls\":[{\"id\":\"1\",\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"a\\\": "
            "[1]}\"}}]}]", false, false,
            "[{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":[{\"id\":\"1\",\"function\":{\"name\":\"f\",\"arguments\":{\"a\":[1]}}}]}]");
    becomes("[{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":[{\"function\":{\"name\":\"f\",\"arguments\":\"no JSON\"}}]}]", false, false,
            "[{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":[{\"function\":{\"name\":\"f\",\"arguments\":\"no JSON\"}}]}]");
    becomes("[{\"role\":\"tool\",\"content\":\"4\",\"tool_call_id\":\"1\",\"audio\":null}]", false, false,
            "[{\"role\":\"tool\",\"content\":\"4\",\"tool_call_id\":\"1\",\"audio\":null}]");
    json_decref(doc.v);
    doc.v = NULL;
}
END_TEST

static const struct {
    const char *list, *place;
} bad[] = {
    {"5", "messages"},
    {"[]", "messages"},
    {"[5]", "messages[0]"},
    {"[{\"content\":\"a\"}]", "messages[0]"},
    {"[{\"role\":5,\"content\":\"a\"}]", "messages[0].role"},
    {"[{\"role\":\"\",\"content\":\"a\"}]", "messages[0].role"},
    {"[{\"role\":\"user\"}]", "messages[0]"},
    {"[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"user\",\"content\":5}]", "messages[1].content"},
    {"[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":{\"url\":\"x\"}}]}]", "messages[0].content[0].type"},
    {"[{\"role\":\"user\",\"content\":[{\"type\":\"text\"}]}]", "messages[0].content[0]"},
    {"[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":5}]}]", "messages[0].content[0].text"},
    {"[{\"role\":\"user\",\"content\":[null]}]", "messages[0].content[0]"},
    {"[{\"role\":\"user\",\"content\":\"a\",\"name\":5}]", "messages[0].name"},
    {"[{\"role\":\"assistant\",\"tool_calls\":5}]", "messages[0].tool_calls"},
    {"[{\"role\":\"assistant\",\"tool_calls\":[{}]}]", "messages[0].tool_calls[0]"},
    {"[{\"role\":\"assistant\",\"tool_calls\":[{\"function\":{}}]}]", "messages[0].tool_calls[0].function"},
    {"[{\"role\":\"assistant\",\"function_call\":{}}]", "messages[0].function_call"},
};

START_TEST(refusals_name_the_place) {
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char text[1000];
        snprintf(text, sizeof text, "{\"messages\":%s}", bad[i].list);
        for (int parts = 0; parts < 2; parts++) {
            ck_assert_msg(ready(text, parts, false) == SL_INVALID, "%s", bad[i].list);
            ck_assert_msg(strstr(e.message, bad[i].place) == e.message, "%s: %s", bad[i].list, e.message);
            ck_assert_str_eq(e.param, "messages");
        }
    }
    json_decref(doc.v);
    doc.v = NULL;
}
END_TEST

/* Promise 4: arguments that would take a hundred times their text. */
START_TEST(arguments_are_bounded) {
    char *text = malloc(20000);
    int n = sprintf(text, "{\"messages\":[{\"role\":\"assistant\",\"tool_calls\":[{\"function\":{\"name\":\"f\",\"arguments\":\"[");
    for (int i = 0; i < 3000; i++) n += sprintf(text + n, "[],");
    strcpy(text + n, "[]]\"}}]}]}");
    ck_assert_int_eq(ready(text, false, false), SL_INVALID);
    ck_assert(strstr(e.message, "too many values"));
    free(text);
    json_decref(doc.v);
    doc.v = NULL;
}
END_TEST

START_TEST(the_last_message_goes_on) {
    ck_assert_int_eq(ready("{\"messages\":[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"content\":\"b\"}]}", false, false), SL_OK);
    ck_assert_int_eq(sl_messages_append(&messages, "-tail", &e), SL_OK);
    ck_assert_str_eq(json_string_value(json_object_get(json_array_get(messages.v, 1), "content")), "b-tail");
    ck_assert_int_eq(ready("{\"messages\":[{\"role\":\"assistant\",\"content\":[\"a\",\"b\"]}]}", true, false), SL_OK);
    ck_assert_int_eq(sl_messages_append(&messages, "-tail", &e), SL_OK);
    json_t *parts = json_object_get(json_array_get(messages.v, 0), "content");
    ck_assert_str_eq(json_string_value(json_object_get(json_array_get(parts, 1), "text")), "b-tail");
    ck_assert_int_eq(ready("{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}]}", false, false), SL_OK);
    ck_assert_int_eq(sl_messages_append(&messages, "-tail", &e), SL_INVALID);
    json_decref(doc.v);
    doc.v = NULL;
}
END_TEST

int main(void) {
    return RUN_TESTS("chat/messages", 30, shapes, refusals_name_the_place, arguments_are_bounded, the_last_message_goes_on);
}
