"""What Ollama's Python client sees of a server. Prints one JSON object.

Arguments: the server's URL, a file with an image, one with sound.
"""
import asyncio
import base64
import json
import sys
from pathlib import Path

import ollama
from pydantic import BaseModel, Field

client = ollama.Client(host=sys.argv[1])
seen = {}

seen["list"] = sorted(model.model for model in client.list().models)
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


async def cancel() -> bool:
    """Leaves in the middle of an answer; whether the next one comes."""
    other = ollama.AsyncClient(host=sys.argv[1])
    asked = other.generate("guide", "tell me a story", options={"num_predict": 5000})
    try:
        await asyncio.wait_for(asked, 0.3)
    except asyncio.TimeoutError:
        pass
    return (await other.generate("guide", "hello", options={"num_predict": 3})).done


seen["cancelled"] = asyncio.run(cancel())


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
seen["ps"] = [model.model for model in client.ps().models]

image, sound = Path(sys.argv[2]), Path(sys.argv[3])
greedy = {"temperature": 0, "num_predict": 8}
forms = [image, str(image), image.read_bytes(), base64.b64encode(image.read_bytes()).decode()]


def look(model: str, file) -> ollama.ChatResponse:
    asked = {"role": "user", "content": "what is it?", "images": [file]}
    return client.chat(model, messages=[asked], options=greedy)


views = [look("sees", form) for form in forms]
made = client.generate("sees", "what is it?", images=[image], options=greedy)
seen["images"] = {
    "same": len({view.message.content for view in views}),
    "counted": views[0].prompt_eval_count > 10,
    "generated": made.response == views[0].message.content,
}
seen["sound"] = look("hears", sound).prompt_eval_count > 700
try:
    look("sees", b"no image")
except ollama.ResponseError as error:
    seen["broken"] = [error.status_code, error.error]
seen["show"] = bool(client.show("guide").modelinfo)
try:
    client.chat("nobody", messages=[])
except ollama.ResponseError as error:
    seen["missing"] = [error.status_code, error.error]
print(json.dumps(seen))
