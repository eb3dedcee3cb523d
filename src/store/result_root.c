/* Reading back what a result says of itself; see result_root.h. */
#include "store/result_root.h"

#include "store/h5.h"
#include "store/store_inner.h"

#include <jansson.h>

enum {
    OPTIONS_MOST = 16384
}; /* bytes of the attribute that are read; a longer one does not parse, and so says nothing */

/* A file without attributes may come from anywhere; one that says that it is not complete is refused. */
static trm_status check_complete(const trm_named_file *about, hid_t file, trm_error *err)
{
    int64_t complete = 0;
    if (H5Aexists(file, "complete") > 0 &&
        (!trm_h5_attribute_int(file, "complete", &complete) || complete != 1))
        return trm_fail(err, TRM_ERR_DATA, "%s '%s': file is not complete (attribute 'complete' is not 1)",
                        about->kind, about->path);
    return TRM_OK;
}

/* What it says of the store that it was made from. */
static trm_status read_origin(const trm_named_file *about, hid_t file, trm_triplets_origin *origin,
                              trm_error *err)
{
    const struct {
        const char *name;
        int64_t *value;
    } numbers[] = {{"store_rows", &origin->store_rows},
                   {"store_dim", &origin->store_dim},
                   {"queries_rows", &origin->queries_rows},
                   {"pairs", &origin->pairs}};
    const struct {
        const char *name;
        char *text;
        size_t size;
    } texts[] = {{"store_fingerprint", origin->store_fingerprint, sizeof origin->store_fingerprint},
                 {"queries_fingerprint", origin->queries_fingerprint, sizeof origin->queries_fingerprint}};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        *numbers[i].value = -1;
        if (H5Aexists(file, numbers[i].name) > 0 &&
            !trm_h5_attribute_int(file, numbers[i].name, numbers[i].value))
            return trm_fail(err, TRM_ERR_DATA, "%s '%s': attribute '%s' is not an integer", about->kind,
                            about->path, numbers[i].name);
    }
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (H5Aexists(file, texts[i].name) > 0 &&
            !trm_h5_attribute_text(file, texts[i].name, texts[i].text, texts[i].size))
            return trm_fail(err, TRM_ERR_DATA, "%s '%s': attribute '%s' is not a text", about->kind,
                            about->path, texts[i].name);
    return TRM_OK;
}

/* By which distances. A file without options, or with others than mine writes, doesn't say, which is no error. */
static void read_options(hid_t file, trm_triplets_origin *origin)
{
    char text[OPTIONS_MOST];
    if (H5Aexists(file, "options") <= 0 || !trm_h5_attribute_text(file, "options", text, sizeof text))
        return;
    json_t *options = json_loads(text, 0, NULL);
    const char *metric = json_string_value(json_object_get(options, "metric"));
    const json_t *margin = json_object_get(options, "margin");
    origin->by_known =
        metric != NULL && trm_metric_from_name(metric, &origin->metric) == 0 && json_is_number(margin);
    origin->margin = json_number_value(margin);
    origin->normalize = json_is_true(json_object_get(options, "normalize"));
    json_decref(options);
}

trm_status trm_result_inspect(const trm_named_file *about, trm_sources *sources, trm_result_look_fn format,
                              trm_result_look_fn contents, void *found, trm_triplets_origin *origin,
                              trm_error *err)
{
    hid_t file = -1;
    trm_status status = trm_sources_add_input(sources, about, err);
    if (status == TRM_OK)
        status = trm_inspect_open(about, &file, err);
    if (status == TRM_OK)
        status = format(about, sources, file, found, err);
    if (status == TRM_OK)
        status = check_complete(about, file, err);
    if (status == TRM_OK)
        status = read_origin(about, file, origin, err);
    if (status == TRM_OK)
        read_options(file, origin);
    if (status == TRM_OK)
        status = contents(about, sources, file, found, err);
    if (file >= 0)
        H5Fclose(file);
    return status;
}
