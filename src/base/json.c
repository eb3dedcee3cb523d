/* JSON objects in the making; see json.h. */
#include "base/json.h"

#include "base/alloc.h"
#include "base/visible.h"

#include <stdlib.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* What a call of jansson's on it came to. */
static void keep_where(json_t **made, bool good)
{
    if (good)
        return;
    json_decref(*made);
    *made = NULL;
}

void trm_json_put(json_t **object, const char *key, json_t *value)
{
    keep_where(object, json_object_set_new(*object, key, value) == 0);
}

void trm_json_put_all(json_t **object, json_t *more)
{
    keep_where(object, json_object_update(*object, more) == 0);
    json_decref(more);
}

void trm_json_append(json_t **array, json_t *value)
{
    keep_where(array, json_array_append_new(*array, value) == 0);
}

json_t *trm_json_text(const char *text)
{
    json_t *value = json_string(text);
    if (value != NULL)
        return value;
    char *escaped = trm_alloc((int64_t)strlen(text) + 1, 4);
    char *to = escaped;
    for (const char *from = text; escaped != NULL && *from != '\0'; from++)
        to += (unsigned char)*from < 128 ? sprintf(to, "%c", *from)
                                         : sprintf(to, "\\x%02x", (unsigned char)*from);
    value = escaped == NULL ? NULL : json_string(escaped);
    trm_free(escaped);
    return value;
}

json_t *trm_json_text_or_null(const char *text)
{
    return text != NULL ? trm_json_text(text) : json_null();
}

char *trm_json_dump(const json_t *object)
{
    return json_dumps(object, JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(17));
}

void trm_json_free(char *text)
{
    free(text);
}

const char *trm_json_fields(json_t *object, char text[TRM_JSON_FIELDS])
{
    enum { SHOWN = 48 }; /* of a name */
    const char *key;
    json_t *value;
    size_t used = 0;
    text[0] = '\0';
    json_object_foreach(object, key, value)
    {
        char shown[SHOWN];
        const bool fits = used + SHOWN + sizeof ", , ..." < TRM_JSON_FIELDS;
        trm_visible(key, shown, sizeof shown);
        used += (size_t)snprintf(text + used, TRM_JSON_FIELDS - used, "%s%s", used > 0 ? ", " : "",
                                 fits ? shown : "...");
        if (!fits)
            break;
    }
    return used > 0 ? text : "none";
}
