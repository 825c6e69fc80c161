#include "api/api.h"

#include <string.h>

#include <jansson.h>

#include "../run.h"

START_TEST(body_of_an_error) {
    static const struct {
        int status;
        const char *type;
    } types[] = {{400, "invalid_request_error"}, {401, "authentication_error"}, {404, "not_found_error"}, {405, "invalid_request_error"},
                 {413, "invalid_request_error"}, {429, "rate_limit_error"},     {500, "server_error"},    {503, "overloaded_error"},
                 {504, "server_error"}};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        sl_buffer b = {0};
        sl_api_error_json(&b, types[i].status, i ? "field" : NULL, i ? NULL : "code", "a \"message\" with \xff and \n");
        json_error_t e;
        json_t *doc = json_loadb(b.data, b.len, 0, &e), *error = json_object_get(doc, "error");
        ck_assert_msg(doc != NULL, "%s", e.text);
        ck_assert_uint_eq(json_object_size(error), 4);
        ck_assert_str_eq(json_string_value(json_object_get(error, "type")), types[i].type);
        ck_assert_str_eq(json_string_value(json_object_get(error, "message")), "a \"message\" with \xEF\xBF\xBD and \n");
        ck_assert(json_is_null(json_object_get(error, i ? "code" : "param")));
        ck_assert(json_is_string(json_object_get(error, i ? "param" : "code")));
        json_decref(doc);
        sl_buffer_done(&b);
    }
}
END_TEST

int main(void) { return RUN_TESTS("api/errors", 10, body_of_an_error); }
