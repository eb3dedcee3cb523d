/* JSON objects in the making: what JSON can't hold (NaN, infinity, text that is not UTF-8), or memory that is
 * not there, makes a NULL, never an object with a part missing. */
#ifndef TRM_BASE_JSON_H
#define TRM_BASE_JSON_H

#include <jansson.h>

/* Puts value (its reference is taken) under key; *object becomes NULL where it or value is NULL. */
void trm_json_put(json_t **object, const char *key, json_t *value);
/* Puts all of more (its reference is taken) into *object, as above. */
void trm_json_put_all(json_t **object, json_t *more);
/* Appends value (its reference is taken) to *array, as above. */
void trm_json_append(json_t **array, json_t *value);
/* Text, such as the name of a file: bytes that are not UTF-8 become \\xNN. New reference. */
json_t *trm_json_text(const char *text);
/* Text or, for NULL, null. New reference. */
json_t *trm_json_text_or_null(const char *text);

/* As text on one line, keys in their order and reals with 17 digits, in new memory; NULL where there is none, or no object.
 * trm_json_free frees it; NULL is fine. */
char *trm_json_dump(const json_t *object);
void trm_json_free(char *text);

/* The names of what is in an object, "id, title, text", or some of them, for messages; "none". Returns text. */
enum { TRM_JSON_FIELDS = 320 };
const char *trm_json_fields(json_t *object, char text[TRM_JSON_FIELDS]);

#endif
