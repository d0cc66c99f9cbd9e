// Prompts by the model's own Jinja template, through llama-common.
#include "internal.hpp"

#include "json.h"

#include <cstring>

namespace {

common_chat_templates_inputs inputs_of(const char * messages, const char * tools, const char * variables, int32_t ending) {
    common_chat_templates_inputs inputs;
    inputs.messages = common_chat_msgs_parse_oaicompat(common_json::parse(messages));
    if (tools[0] != 0) {
        inputs.tools = common_chat_tools_parse_oaicompat(common_json::parse(tools));
    }
    const common_json values = common_json::parse(variables);
    for (const auto & item : values.items()) {
        inputs.chat_template_kwargs[item.key()] = item.value().dump();
    }
    const auto thinking = inputs.chat_template_kwargs.find("enable_thinking");
    if (thinking != inputs.chat_template_kwargs.end()) {
        inputs.enable_thinking = thinking->second == "true";
    }
    inputs.add_generation_prompt = ending == 1;
    inputs.use_jinja             = true;
    if (ending == 2) {
        inputs.continue_final_message = COMMON_CHAT_CONTINUATION_AUTO;
    }
    // Without tools no output parser is wanted from llama-common, and making one takes longer than
    // the request may cost; a message is gone on with by the parser's knowledge of the template.
    inputs.force_pure_content = inputs.tools.empty() && ending != 2;
    return inputs;
}

} // namespace

int32_t hutch_render(hutch_model * model, const char * messages, const char * tools, const char * variables, int32_t ending) {
    return hutch::guarded([&] {
        if (!model->templates) {
            model->templates = common_chat_templates_init(model->model, "");
        }
        const auto inputs = inputs_of(messages, tools, variables, ending);
        model->rendered   = common_chat_templates_apply(model->templates.get(), inputs).prompt;
        return static_cast<int32_t>(model->rendered.size());
    });
}

int32_t hutch_rendered(const hutch_model * model, char * buffer, int32_t size) {
    return hutch::copy_text(model->rendered, buffer, size);
}
