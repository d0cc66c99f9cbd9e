"""What Ollama's Python client sees of a server. Prints one JSON object; argument: the server's URL."""
import json
import sys

import ollama
from pydantic import BaseModel, Field

client = ollama.Client(host=sys.argv[1])
seen = {}

seen["list"] = [model.model for model in client.list().models]
pieces = list(client.chat("guide", messages=[{"role": "user", "content": "hello"}], stream=True))
seen["chat"] = {
    "text": "".join(piece.message.content for piece in pieces),
    "done": [piece.done for piece in pieces].count(True),
    "reason": pieces[-1].done_reason,
    "counts": pieces[-1].prompt_eval_count > 0 and pieces[-1].eval_count > 0,
}
stream = client.chat("guide", messages=[{"role": "user", "content": "tell me a story"}], stream=True)
next(stream)
stream.close()
seen["after"] = client.generate("guide", "hello", options={"num_predict": 3}).done


def get_weather(city: str) -> str:
    """
    Weather of a city.

    Args:
      city: name of the city
    """
    return "mild"


asked = [{"role": "user", "content": "what is the weather in Paris?"}]
answer = client.chat("guide", messages=asked, tools=[get_weather], options={"temperature": 0})
seen["tools"] = [[call.function.name, dict(call.function.arguments)] for call in answer.message.tool_calls or []]
for call in answer.message.tool_calls or []:
    asked += [answer.message, {"role": "tool", "content": get_weather(**call.function.arguments), "tool_name": call.function.name}]
seen["result"] = client.chat("guide", messages=asked, tools=[get_weather]).message.role


class Person(BaseModel):
    name: str = Field(max_length=20)
    age: int


answer = client.chat("guide", messages=asked[:1], format=Person.model_json_schema())
seen["format"] = sorted(Person.model_validate_json(answer.message.content).model_dump())
vectors = client.embed("guide", input=["one", "two"]).embeddings
seen["embed"] = [len(vectors), round(sum(x * x for x in vectors[0]), 3)]
seen["show"] = bool(client.show("guide").modelinfo)
seen["ps"] = [model.model for model in client.ps().models]
try:
    client.chat("nobody", messages=[])
except ollama.ResponseError as error:
    seen["missing"] = [error.status_code, error.error]
print(json.dumps(seen))
