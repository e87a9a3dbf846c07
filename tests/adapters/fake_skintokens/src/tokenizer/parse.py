def get_tokenizer(**kwargs):
    return kwargs["name"]
