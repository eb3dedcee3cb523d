/* --compat NAME: the rules of other libraries, as options of this one. A preset is words of a command line,
 * so it can say nothing that a user could not.
 *
 * tf.maximum(z, 0) passes the gradient on where z is exactly 0: --at-zero=whole for all that is TensorFlow's.
 */
#include "job/settings.h"

#include "base/json.h"

#include <string.h>

static const trm_preset presets[] = {
    {"tfa-semihard",
     true,
     true,
     false,
     {"--loss=mined", "--metric=l2", "--margin=1", "--positives=all", "--window=none", "--pick=nearest",
      "--fallback=farthest-inside", "--reduction=mean_all", "--at-zero=whole", NULL}},
    {"tfa-semihard-sql2",
     true,
     true,
     false,
     {"--loss=mined", "--metric=sql2", "--margin=1", "--positives=all", "--window=none", "--pick=nearest",
      "--fallback=farthest-inside", "--reduction=mean_all", "--at-zero=whole", NULL}},
    {"tfa-hard",
     false,
     true,
     false,
     {"--loss=batch-hard", "--lone", "--metric=l2", "--margin=1", "--reduction=mean_rows", "--at-zero=whole",
      NULL}},
    {"st-semihard",
     true,
     true,
     false,
     {"--loss=mined", "--metric=l2", "--margin=5", "--positives=all", "--window=none", "--pick=nearest",
      "--fallback=farthest-inside", "--reduction=mean_all", NULL}},
    {"tfs",
     true,
     true,
     false,
     {"--loss=mined", "--metric=cosine", "--soft", "--positives=hardest", "--window=none", "--pick=nearest",
      "--fallback=farthest-inside", "--reduction=mean_rows", "--at-zero=whole", NULL}},
    {"pml-semihard",
     false,
     true,
     false,
     {"--loss=batch-all", "--within=0.2", "--normalize", "--metric=l2", "--margin=0.05",
      "--reduction=mean_nonzero", NULL}},
    {"st-mine",
     true,
     true,
     false,
     {"--loss=mined", "--metric=cosine", "--positives=all", "--negatives=topk:3", "--shortlist=st-mine",
      NULL}},
    {"facenet",
     true,
     true,
     false,
     {"--loss=mined", "--normalize", "--metric=sql2", "--margin=0.2", "--positives=all", "--window=lt",
      "--pick=nearest", "--fallback=skip", "--reduction=sum", NULL}},
    {"batch-all-nonzero",
     false,
     true,
     false,
     {"--loss=batch-all", "--metric=l2", "--margin=1", "--reduction=mean_nonzero", NULL}},
    {"guide-1",
     false,
     true,
     true,
     {"--metric=sql2", "--margin=1", "--reduction=mean_all", "--at-zero=whole", NULL}},
    {"guide-2",
     false,
     true,
     true,
     {"--metric=cosine", "--margin=0.5", "--reduction=mean_all", "--norm-floor=1e-12", "--at-zero=whole",
      NULL}},
    {"guide-3",
     false,
     true,
     true,
     {"--negatives=reversed", "--metric=sql2", "--margin=1", "--reduction=mean_all", "--at-zero=whole",
      NULL}},
};

enum { PRESETS = sizeof presets / sizeof *presets };

const trm_preset *trm_preset_find(const char *name)
{
    for (int i = 0; i < PRESETS; i++)
        if (strcmp(presets[i].name, name) == 0)
            return &presets[i];
    return NULL;
}

const char *trm_preset_names(void)
{
    static char names[512];
    if (names[0] == '\0')
        for (int i = 0; i < PRESETS; i++) {
            strncat(names, i > 0 ? " " : "", sizeof names - strlen(names) - 1);
            strncat(names, presets[i].name, sizeof names - strlen(names) - 1);
        }
    return names;
}

json_t *trm_preset_schema(void)
{
    json_t *all = json_array();
    for (int i = 0; i < PRESETS; i++) {
        const trm_preset *preset = &presets[i];
        json_t *words = json_array();
        for (int k = 0; preset->words[k] != NULL; k++)
            trm_json_append(&words, json_string(preset->words[k]));
        trm_json_append(&all,
                        json_pack("{s:s, s:b, s:b, s:b, s:o}", "name", preset->name, "mine", preset->mine,
                                  "loss", preset->loss, "packed", preset->packed, "words", words));
    }
    return all;
}
